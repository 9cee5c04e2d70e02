package tables

import (
	"context"
	"errors"
	"strings"
	"testing"

	"relink/functions/internal/fcrun"
	"relink/localstack/tablestore"
	"relink/localstack/tablestore/tablestoretest"
	"relink/shared/config"
	"relink/shared/store"
)

var echo = fcrun.HandlerFunc(func(_ context.Context, event []byte) ([]byte, error) { return event, nil })

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
	if got, err := fresh(s, nil, nil, nil, echo).Invoke(t.Context(), []byte("x")); string(got) != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAssemble(t *testing.T) {
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
	t.Setenv("RELINK_SECRET_KEY", "")
	make := func(p Parts) (fcrun.Handler, error) {
		if p.Store == nil || p.Files == nil || p.Log == nil || p.Cloud.AccessKeyID != "id" {
			return nil, errors.New("parts are missing")
		}
		return echo, nil
	}
	if _, err := assemble(t.Context(), make); err == nil || !strings.Contains(err.Error(), "RELINK_SECRET_KEY") {
		t.Errorf("without a key: %v", err)
	}
	t.Setenv("RELINK_SECRET_KEY", strings.Repeat("11", 32))
	h, err := assemble(t.Context(), make)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.Invoke(t.Context(), []byte("x")); string(got) != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	refused := errors.New("refused")
	if _, err := assemble(t.Context(), func(Parts) (fcrun.Handler, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("a handler that cannot be made: %v", err)
	}
}
