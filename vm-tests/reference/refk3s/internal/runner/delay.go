package runner

import (
	"context"
	"time"
)

// electedDelay is how long components that may hold a lease outlive the
// context of the process: they end it with status 1 when their own is over.
const electedDelay = 5 * time.Second

// delayed returns a context that ends some time after ctx.
func delayed(ctx context.Context, delay time.Duration) context.Context {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(delay, cancel) })
	return later
}
