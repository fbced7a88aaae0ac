package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"nearcast/control/protocol"
)

const (
	maxPayload   = 64 << 20 // octets of one message
	startTimeout = 10 * time.Second
	// maxConnections bounds the nodes that follow at once.
	maxConnections = 20_000
)

// startServer runs NATS in this process, listening on addr.
func startServer(cfg Config) (*server.Server, string, error) {
	host, port, err := splitAddr(cfg.Addr)
	if err != nil {
		return nil, "", err
	}
	password := rand.Text() // of the in-process user; never leaves the process
	options := &server.Options{
		ServerName:             "nearcast-control",
		Host:                   host,
		Port:                   port,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		MaxPayload:             maxPayload,
		MaxPending:             4 * maxPayload,
		MaxConn:                maxConnections,
		JetStream:              true,
		StoreDir:               filepath.Join(cfg.Dir, "jetstream"),
		SyncAlways:             true,
		Users:                  users(password, cfg.NodeSecret),
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, "", err
	}
	log := &natsLog{log: cfg.Log}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	if err := awaitStart(srv, log); err != nil {
		stopServer(srv)
		return nil, "", fmt.Errorf("listening on %s: %w", cfg.Addr, err)
	}
	log.started.Store(true)
	return srv, password, nil
}

// awaitStart waits until the server listens. The server itself only logs that it
// cannot, so the log is watched.
func awaitStart(srv *server.Server, log *natsLog) error {
	const step = 20 * time.Millisecond
	for range startTimeout / step {
		if srv.ReadyForConnections(step) {
			return nil
		}
		if err := log.last.err(); err != nil {
			return err
		}
	}
	return fmt.Errorf("not ready within %v", startTimeout)
}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: the port is not a number", addr)
	}
	if n == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(n), nil
}

// users are the two identities. A node may read both logs, report and answer;
// it cannot append, delete or listen to other answers than those to nodes.
func users(controlPassword, nodeSecret string) []*server.User {
	return []*server.User{
		{Username: protocol.UserControl, Password: controlPassword},
		{
			Username: protocol.UserNode,
			Password: nodeSecret,
			Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{
					protocol.Direct + protocol.StreamSnapshots,
					protocol.Direct + protocol.StreamPurges,
					protocol.HeadRequest,
					protocol.Report + "*",
				}},
				Subscribe: &server.SubjectPermission{Allow: []string{
					protocol.LiveSnapshot,
					protocol.LivePurge,
					protocol.HeadBeat,
					protocol.Explain + "*",
					protocol.NodeInbox + ">",
				}},
				Response: &server.ResponsePermission{MaxMsgs: 1, Expires: 5 * time.Second},
			},
		},
	}
}

// connectInProcess opens the store's own connection, which uses no socket.
func connectInProcess(srv *server.Server, password string) (*nats.Conn, error) {
	return nats.Connect("", nats.InProcessServer(srv),
		nats.Name("nearcast-control"),
		nats.UserInfo(protocol.UserControl, password),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(50*time.Millisecond),
	)
}

func stopServer(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// natsLog hands the server's log lines on to slog. The server's notices are of
// no interest to an operator of Nearcast, so they are debug lines; so are its warnings at
// the start, which are about options that were chosen here.
type natsLog struct {
	log     *slog.Logger
	started atomic.Bool
	last    fatalText
}

func (l *natsLog) line(level slog.Level, format string, args []any) {
	if ctx := context.Background(); l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "nats: "+fmt.Sprintf(format, args...)) //nolint:sloglint // the text is the engine's
	}
}

// Noticef implements [server.Logger].
func (l *natsLog) Noticef(format string, args ...any) { l.line(slog.LevelDebug, format, args) }

// Warnf implements [server.Logger].
func (l *natsLog) Warnf(format string, args ...any) {
	level := slog.LevelDebug
	if l.started.Load() {
		level = slog.LevelWarn
	}
	l.line(level, format, args)
}

// Errorf implements [server.Logger].
func (l *natsLog) Errorf(format string, args ...any) { l.line(slog.LevelWarn, format, args) }

// Fatalf implements [server.Logger]. It does not end the process: whoever waits
// for the server gets the text as an error.
func (l *natsLog) Fatalf(format string, args ...any) {
	l.last.set(fmt.Sprintf(format, args...))
	l.line(slog.LevelError, format, args)
}

// Debugf implements [server.Logger].
func (l *natsLog) Debugf(format string, args ...any) { l.line(slog.LevelDebug, format, args) }

// Tracef implements [server.Logger].
func (l *natsLog) Tracef(format string, args ...any) { l.line(slog.LevelDebug, format, args) }
