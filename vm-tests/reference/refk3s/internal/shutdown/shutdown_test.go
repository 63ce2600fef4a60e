package shutdown

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sirupsen/logrus"
)

// end returns the status and the line that is logged.
func end(t *testing.T, err error) (int, string) {
	t.Helper()
	var out bytes.Buffer
	logrus.SetOutput(&out)
	logrus.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
	return Status(err), out.String()
}

func expect(t *testing.T, err error, status int, line string) {
	t.Helper()
	if gotStatus, got := end(t, err); gotStatus != status || got != line {
		t.Errorf("status %d and %q, want %d and %q", gotStatus, got, status, line)
	}
}

func TestAStopThatWasAskedForIsStatus0(t *testing.T) { expect(t, nil, 0, "") }

func TestAFailedStartIsFatal(t *testing.T) {
	expect(t, errors.New("invalid cluster-dns address foo"), 1, "level=fatal msg=\"Error: invalid cluster-dns address foo\"\n")
}

func TestAPartThatEndsBeforeTheServerIsUpIsStatus1(t *testing.T) {
	expect(t, Of("kubelet exited", errors.New("failed to parse kubelet flag: unknown flag: --no-such-flag")), 1,
		`level=error msg="Shutdown request received: \"kubelet exited: failed to parse kubelet flag: unknown flag: --no-such-flag\""`+"\n")
}

func TestAPartThatEndsLaterIsStatus0(t *testing.T) {
	request := Of("containerd exited", errors.New("exit status 1"))
	request.WasUp = true
	expect(t, request, 0, `level=error msg="Shutdown request received: \"containerd exited: exit status 1\""`+"\n")
}

func TestAPartThatEndsWithoutAnErrorSaysNoMore(t *testing.T) {
	expect(t, Of("kubelet exited", nil), 1, "level=info msg=\"Shutdown request received\"\n")
}
