package forward

import (
	"context"
	"sync"

	"relink/shared/iot"
)

// Credentials are those of the invocation, or of the instance.
type Credentials struct {
	ID     string
	Secret iot.Secret
	Token  iot.Secret // of temporary ones; empty otherwise
}

// clients keeps one client of an SDK per place, made anew when the credentials have changed. It is safe for concurrent use.
type clients[T any] struct {
	credentials func(context.Context) Credentials

	mu   sync.Mutex
	made map[string]client[T]
}

type client[T any] struct {
	client      T
	credentials Credentials
}

const maxClients = 256

func (c *clients[T]) get(ctx context.Context, place string, make_ func(Credentials) (T, error)) (T, error) {
	keys := c.credentials(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.made[place]; ok && have.credentials == keys {
		return have.client, nil
	}
	made, err := make_(keys)
	if err != nil {
		return made, err
	}
	if c.made == nil || len(c.made) >= maxClients {
		c.made = make(map[string]client[T])
	}
	c.made[place] = client[T]{made, keys}
	return made, nil
}
