package downlink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"relink/shared/config"
	"relink/shared/iot"
)

var testKey = config.Key{1, 2, 3}

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	body := []byte(`{"productKey":"a1"}`)
	cases := []struct {
		name   string
		change func(r *http.Request, key *config.Key, body *[]byte, at *time.Time)
		want   error
	}{
		{"as_signed", func(*http.Request, *config.Key, *[]byte, *time.Time) {}, nil},
		{"clock_59s_ahead", func(_ *http.Request, _ *config.Key, _ *[]byte, at *time.Time) { *at = now.Add(59 * time.Second) }, nil},
		{"clock_61s_ahead", func(_ *http.Request, _ *config.Key, _ *[]byte, at *time.Time) { *at = now.Add(61 * time.Second) }, ErrSignature},
		{"clock_61s_behind", func(_ *http.Request, _ *config.Key, _ *[]byte, at *time.Time) { *at = now.Add(-61 * time.Second) }, ErrSignature},
		{"other_body", func(_ *http.Request, _ *config.Key, b *[]byte, _ *time.Time) { *b = []byte("{}") }, ErrSignature},
		{"other_key", func(_ *http.Request, k *config.Key, _ *[]byte, _ *time.Time) { *k = config.Key{9} }, ErrSignature},
		{"no_key", func(_ *http.Request, k *config.Key, _ *[]byte, _ *time.Time) { *k = config.Key{} }, ErrNoKey},
		{"other_path", func(r *http.Request, _ *config.Key, _ *[]byte, _ *time.Time) { r.URL.Path = PathDrop }, ErrSignature},
		{"added_query", func(r *http.Request, _ *config.Key, _ *[]byte, _ *time.Time) { r.URL.RawQuery = "a=b" }, ErrSignature},
		{"other_method", func(r *http.Request, _ *config.Key, _ *[]byte, _ *time.Time) { r.Method = http.MethodPut }, ErrSignature},
		{"no_date", func(r *http.Request, _ *config.Key, _ *[]byte, _ *time.Time) { r.Header.Del(HeaderDate) }, ErrSignature},
		{"least_date", func(r *http.Request, _ *config.Key, _ *[]byte, _ *time.Time) {
			r.Header.Set(HeaderDate, "-9223372036854775808")
		}, ErrSignature},
		{"no_signature", func(r *http.Request, _ *config.Key, _ *[]byte, _ *time.Time) { r.Header.Del(HeaderSignature) }, ErrSignature},
		{"cut_signature", func(r *http.Request, _ *config.Key, _ *[]byte, _ *time.Time) {
			r.Header.Set(HeaderSignature, r.Header.Get(HeaderSignature)[:62])
		}, ErrSignature},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, PathPublish, nil)
			if err := Sign(r, testKey, body, now); err != nil {
				t.Fatal(err)
			}
			key, b, at := testKey, bytes.Clone(body), now
			c.change(r, &key, &b, &at)
			if err := Verify(r, key, b, at); !errors.Is(err, c.want) {
				t.Errorf("Verify = %v, want %v", err, c.want)
			}
		})
	}
	if err := Sign(httptest.NewRequest(http.MethodPost, PathDrop, nil), config.Key{}, nil, now); !errors.Is(err, ErrNoKey) {
		t.Errorf("Sign without a key = %v, want %v", err, ErrNoKey)
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || Verify(r, testKey, body, time.Now()) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var p Publish
		if r.URL.Path != PathPublish || json.Unmarshal(body, &p) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if err := json.NewEncoder(w).Encode(Outcome{State: Sent, Epoch: 7, Reply: p.Payload}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	c := NewClient(testKey)
	t.Cleanup(c.CloseIdle)
	got, err := c.Publish(context.Background(), srv.URL+"/", &Publish{ProductKey: "a1", DeviceName: "d1", Topic: "/t", Payload: []byte{0, 255}})
	if err != nil || got.State != Sent || got.Epoch != 7 || !bytes.Equal(got.Reply, []byte{0, 255}) {
		t.Errorf("Publish = %+v, %v", got, err)
	}
	if _, err := c.Drop(context.Background(), srv.URL, &Drop{ProductKey: "a1"}); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("refused call = %v, want invalid_params", err)
	}
	stranger := NewClient(config.Key{5})
	t.Cleanup(stranger.CloseIdle)
	if _, err := stranger.Publish(context.Background(), srv.URL, &Publish{}); !iot.Is(err, iot.Unavailable) {
		t.Errorf("call with a foreign key = %v, want unavailable", err)
	}
	if _, err := c.Publish(context.Background(), "http://127.0.0.1:1", &Publish{}); !iot.Is(err, iot.Unavailable) {
		t.Errorf("nobody listens = %v, want unavailable", err)
	}
	if _, err := c.Publish(context.Background(), srv.URL, &Publish{Topic: strings.Repeat("x", MaxBody)}); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("too long = %v, want invalid_params", err)
	}
}
