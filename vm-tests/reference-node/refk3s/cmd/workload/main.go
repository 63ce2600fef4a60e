// Command workload is the only program of the reference test image. It prints
// what it sees of its surroundings, can serve it over HTTP, and runs until told
// to stop.
//
//	workload                print and wait for a signal
//	workload print          print and end
//	workload serve ADDRESS  print, and answer every HTTP request with the same text
//	workload get URL        print the answer to one HTTP request
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// requestLimit bounds `workload get`.
const requestLimit = 30 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	mode := "wait"
	if len(arguments) > 0 {
		mode = arguments[0]
	}
	switch {
	case mode == "print" && len(arguments) == 1:
		fmt.Print(report())
		return nil
	case mode == "wait" && len(arguments) <= 1:
		fmt.Print(report())
		<-ctx.Done()
		return nil
	case mode == "serve" && len(arguments) == 2:
		return serve(ctx, arguments[1])
	case mode == "get" && len(arguments) == 2:
		return get(ctx, arguments[1])
	}
	return fmt.Errorf("unknown arguments %q; see print, wait, serve ADDRESS, get URL", arguments)
}

func report() string {
	var text strings.Builder
	host, _ := os.Hostname()
	fmt.Fprintf(&text, "emts reference workload on %s, pid %d\n", host, os.Getpid())
	for _, path := range []string{"/proc/self/cgroup", "/etc/resolv.conf"} {
		content, err := os.ReadFile(path)
		if err != nil {
			content = []byte(err.Error() + "\n")
		}
		fmt.Fprintf(&text, "%s:\n%s", path, content)
	}
	return text.String()
}

func serve(ctx context.Context, address string) error {
	server := &http.Server{
		Addr:              address,
		ReadHeaderTimeout: requestLimit,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, report())
		}),
	}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	fmt.Print(report())
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func get(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
