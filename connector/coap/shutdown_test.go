package coap_test

import (
	"context"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// On Shutdown answers that are due are sent, and nothing more is taken.
func TestShutdownSendsWhatIsDue(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	held := make(chan struct{})
	f.backend.set(func() { f.backend.held = held })
	c.send(c.sealed(postTopic, postBody))
	for end := time.Now().Add(5 * time.Second); len(f.backend.posts()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the post did not arrive")
		}
	}
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ended <- f.Shutdown(ctx)
	}()
	select {
	case err := <-ended:
		t.Fatalf("Shutdown ended (%v) while an answer was due", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(held)
	if b := c.receive(5 * time.Second); b == nil || c.parse(b).Code != codes.Content {
		t.Errorf("%x", b)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
