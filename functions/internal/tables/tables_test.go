package tables_test

import (
	"context"
	"testing"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/localstack/tablestore"
	"relink/localstack/tablestore/tablestoretest"
	"relink/shared/config"
	"relink/shared/store"
)

func TestOutsideOfAnInvocation(t *testing.T) {
	t.Parallel()
	s, err := store.Open(store.Options{
		Endpoint: tablestoretest.Start(t, tablestore.Options{}), Instance: "relink", Key: config.Key{1},
		AccessKeyID: tablestore.DefaultAccessKeyID, AccessKeySecret: tablestore.DefaultAccessKeySecret,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	h := tables.Fresh(s, fcrun.HandlerFunc(func(_ context.Context, event []byte) ([]byte, error) { return event, nil }))
	if got, err := h.Invoke(t.Context(), []byte("x")); string(got) != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
