package runner

import (
	"context"
	"fmt"
	"time"
)

// Shutdown is the end of a server because one of its parts ended.
type Shutdown struct {
	// Reason is nil when the part ended without an error.
	Reason error
	// WasUp is true when the server had come up before.
	WasUp bool
}

func (s *Shutdown) Error() string { return fmt.Sprintf("shutdown request: %v", s.Reason) }

// Unwrap returns the reason.
func (s *Shutdown) Unwrap() error { return s.Reason }

// request is a shutdown because of err, which may be nil, of the named part.
func request(part string, err error) *Shutdown {
	if err == nil {
		return &Shutdown{}
	}
	return &Shutdown{Reason: fmt.Errorf("%s: %w", part, err)}
}

// electedDelay is how long components that may hold a lease outlive the
// context of the process: they end it with status 1 when their own is over.
const electedDelay = 5 * time.Second

// delayed returns a context that ends some time after ctx.
func delayed(ctx context.Context, delay time.Duration) context.Context {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(delay, cancel) })
	return later
}
