package store_test

import (
	"os"
	"testing"
	"time"

	"relink/localstack/tablestore"
	"relink/localstack/tablestore/tablestoretest"
	"relink/shared/config"
	"relink/shared/store"
	"relink/shared/store/storetest"
)

const declaration = "../../templates/tablestore.yaml"

// start starts an emulator with the tables of the declaration.
func start(t testing.TB) (*tablestore.Server, store.Options) {
	t.Helper()
	server, endpoint := tablestoretest.StartServer(t, tablestore.Options{})
	o := store.Options{
		Endpoint: endpoint, Instance: "relink", AccessKeyID: tablestore.DefaultAccessKeyID, AccessKeySecret: tablestore.DefaultAccessKeySecret,
		Key: config.Key{1, 2, 3}, RequestTimeout: 5 * time.Second, RetryFor: time.Second,
	}
	file, err := os.Open(declaration)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := store.Bootstrap(t.Context(), o, file); err != nil {
		t.Fatal(err)
	}
	return server, o
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Stores {
		_, o := start(t)
		return open(t, o)
	})
}
