package objects_test

import (
	"errors"
	"testing"

	"relink/localstack/oss"
	"relink/localstack/oss/osstest"
	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/objects"
	"relink/shared/objects/objectstest"
)

func open(t *testing.T) (*objects.Store, *osstest.Instance) {
	t.Helper()
	in := osstest.Start(t, oss.Options{})
	s, err := objects.Open(config.Cloud{
		OSSEndpoint: in.URL, OSSBucket: "relink-files", Region: "cn-shanghai", AccessKeyID: in.AccessKeyID, AccessKeySecret: iot.Secret(in.AccessKeySecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if created, err := s.EnsureBucket(t.Context()); err != nil || created != want {
			t.Fatalf("bucket created: %t, %v; want %t", created, err, want)
		}
	}
	return s, in
}

// The service's SDK against the emulator passes the same suite as the bucket in memory.
func TestContract(t *testing.T) {
	t.Parallel()
	objectstest.Run(t, func(t *testing.T) objects.Bucket {
		s, _ := open(t)
		return s
	})
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	s, in := open(t)
	in.SetFaults(oss.Faults{Fail: 1})
	if err := s.Put(t.Context(), "k", []byte("v"), "text/plain"); !iot.Is(err, iot.Throttled) {
		t.Errorf("busy service: %v", err)
	}
	in.SetFaults(oss.Faults{Lose: 1})
	if _, err := s.Append(t.Context(), "log", 0, []byte("abc")); err == nil {
		t.Error("an append without an answer is no success")
	} else if e, ok := errors.AsType[*objects.PositionError](err); !ok && !iot.Is(err, iot.Unavailable) || ok && e.Size != 3 {
		t.Errorf("lost answer: %v", err)
	}
	in.SetFaults(oss.Faults{})
	// The work was done, once: the second try says so.
	_, err := s.Append(t.Context(), "log", 0, []byte("abc"))
	if e, ok := errors.AsType[*objects.PositionError](err); !ok || e.Size != 3 {
		t.Errorf("append again: %v", err)
	}
	s.SetCredentials(in.AccessKeyID, "another", "")
	if err := s.Put(t.Context(), "k", []byte("v"), "text/plain"); !iot.Is(err, iot.Internal) {
		t.Errorf("wrong secret: %v", err)
	}
	s.SetCredentials(in.AccessKeyID, iot.Secret(in.AccessKeySecret), "")
	if err := s.Put(t.Context(), "k", []byte("v"), "text/plain"); err != nil {
		t.Errorf("right secret again: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, bucket := range []string{"", "fw", "Capital"} {
		if _, err := objects.Open(config.Cloud{OSSEndpoint: "http://127.0.0.1:1", OSSBucket: bucket, Region: "cn-shanghai"}); err == nil {
			t.Errorf("bucket %q is taken", bucket)
		}
	}
}
