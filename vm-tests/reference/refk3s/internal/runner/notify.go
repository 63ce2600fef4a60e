package runner

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// takeNotifySocket returns where systemd waits, and hides it from the parts of
// the process: the kubelet would call the service ready before the API is.
func takeNotifySocket() string {
	address := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET")
	return address
}

// notifyReady tells systemd, when it waits, that the server is up.
func notifyReady(address string) error {
	if address == "" {
		return nil
	}
	if strings.HasPrefix(address, "@") {
		address = "\x00" + address[1:]
	}
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell systemd that the server is ready: %w", err)
	}
	defer connection.Close()
	_, err = connection.Write([]byte("READY=1\n"))
	return err
}
