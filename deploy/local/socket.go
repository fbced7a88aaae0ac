package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
)

// socketName is the driver's own socket in the lab's directory: whoever may read
// the directory (mode 0700) may start and stop its processes.
const socketName = "up.sock"

// serveControl serves start and stop requests until ctx ends.
func (l *Lab) serveControl(ctx context.Context) error {
	path := filepath.Join(l.cfg.Dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the old control socket: %w", err)
	}
	name, closeDir, err := shortPath(path)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", name)
	closeDir()
	if err != nil {
		return fmt.Errorf("listening on the control socket: %w", err)
	}
	defer os.Remove(path) //nolint:errcheck // the next start removes it too
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start/{name}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, l.startAgain(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("POST /stop/{name}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, l.stopOne(r.Context(), r.PathValue("name")))
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(l.cfg.Log.Handler(), slog.LevelWarn)}
	stop := context.AfterFunc(ctx, func() { srv.Close() }) //nolint:errcheck // requests under way are cut: the lab is stopping
	defer stop()
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the control socket: %w", err)
	}
	return nil
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		httpjson.WriteError(w, err)
		return
	}
	httpjson.Write(w, http.StatusOK, struct{}{})
}

func (l *Lab) find(name string) (command, error) {
	var names []string
	for _, c := range l.commands {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	return command{}, cdn.Errorf(cdn.NotFound, "", "no process %q in this lab; there are %s", name, strings.Join(names, ", "))
}

// startAgain starts a process that has ended, and waits until it is ready.
func (l *Lab) startAgain(ctx context.Context, name string) error {
	c, err := l.find(name)
	if err != nil {
		return err
	}
	if err := l.children.start(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := l.children.awaitReady(ctx, c); err != nil {
		return err
	}
	return l.writeEndpoints()
}

// stopOne stops a process the polite way, with SIGTERM, and waits for its end.
func (l *Lab) stopOne(ctx context.Context, name string) error {
	if _, err := l.find(name); err != nil {
		return err
	}
	l.children.mu.Lock()
	ch := l.children.children[name]
	l.children.mu.Unlock()
	if !ch.running() {
		return cdn.Errorf(cdn.Conflict, "", "%s is not running", name)
	}
	if err := ch.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping %s: %w", name, err)
	}
	select {
	case <-ch.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Start starts a process of the lab in dir that has ended; it returns once the
// process is ready. Stop stops one and returns once it has ended.
func Start(ctx context.Context, dir, process string) error { return ask(ctx, dir, "start", process) }

// Stop stops a process of the lab in dir; see [Start].
func Stop(ctx context.Context, dir, process string) error { return ask(ctx, dir, "stop", process) }

func ask(ctx context.Context, dir, verb, process string) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		name, closeDir, err := shortPath(filepath.Join(dir, socketName))
		if err != nil {
			return nil, err
		}
		defer closeDir()
		return new(net.Dialer).DialContext(ctx, "unix", name)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://up/"+verb+"/"+process, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return cdn.Errorf(cdn.Unavailable, "", "no CDN runs in %s: %w", dir, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return httpjson.ReadError(resp)
}

// shortPath returns a name for path that fits into a socket address, whose limit
// of 108 octets is soon passed: through an open descriptor of its directory. The
// name holds until closeDir is called.
func shortPath(path string) (name string, closeDir func(), err error) {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, fmt.Errorf("opening the lab's directory: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), filepath.Base(path)), func() { d.Close() }, nil //nolint:errcheck // only a handle
}
