// Package shutdown is the end of the process: what is logged of it, and its status.
package shutdown

import (
	"errors"
	"fmt"

	"github.com/sirupsen/logrus"
)

// Request is the wish to end because a part of the server ended.
type Request struct {
	// Reason is nil when the part ended without an error.
	Reason error
	// WasUp is true when the server had come up before.
	WasUp bool
}

// Of is a request because of err, which may be nil, of a part.
func Of(part string, err error) *Request {
	if err == nil {
		return &Request{}
	}
	return &Request{Reason: fmt.Errorf("%s: %w", part, err)}
}

func (r *Request) Error() string { return fmt.Sprintf("shutdown request: %v", r.Reason) }

// Unwrap returns the reason.
func (r *Request) Unwrap() error { return r.Reason }

// Status logs why the server ended and returns the status of the process. As
// in K3s that is 0 for a part that ended after the server was up.
func Status(err error) int {
	var request *Request
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &request):
		return Fatal(fmt.Errorf("Error: %w", err))
	case request.Reason == nil:
		logrus.Info("Shutdown request received")
	default:
		logrus.Errorf("Shutdown request received: %q", request.Reason.Error())
	}
	if request.WasUp {
		return 0
	}
	return 1
}

// Fatal logs an error that ends the process and returns its status.
func Fatal(err error) int {
	logrus.StandardLogger().Logf(logrus.FatalLevel, "%v", err)
	return 1
}
