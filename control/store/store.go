package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nearcast/cdn"
	"nearcast/control/protocol"
)

// Bounds of the logs. What falls off the front of the purge log costs nodes that
// were away longer their hit ratio, never their correctness.
const (
	keepSnapshots   = 100
	maxSnapshot     = maxPayload - 64<<10 // octets; the rest is for headers
	keepPurges      = 1_000_000
	keepPurgesFor   = 7 * 24 * time.Hour
	keepPurgesBytes = 1 << 30
	maxPurge        = 1 << 20 // octets of one entry
	duplicateWindow = 2 * time.Minute
	openTimeout     = 30 * time.Second
)

// Config says where the store is.
type Config struct {
	// Dir is the directory that holds everything. Required.
	Dir string
	// Addr is where nodes connect, host:port; port 0 chooses one. Required.
	Addr string
	// NodeSecret is the password of the nodes. Required.
	NodeSecret string
	// Log gets the embedded server's lines. Required.
	Log *slog.Logger
}

// Store is the two logs. Its methods may be called at once from many goroutines.
type Store struct {
	srv       *server.Server
	conn      *nats.Conn
	js        jetstream.JetStream
	snapshots jetstream.Stream
	purges    jetstream.Stream
	lock      *os.File
	latest    atomic.Pointer[cdn.Snapshot] // the newest one read or written here; nil if none
}

// Open starts the embedded server and opens the logs, which are made if they are
// not there. It returns an error of kind Conflict if another process has them.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.NodeSecret == "" {
		return nil, cdn.Errorf(cdn.Invalid, "", "opening the store: the node secret is empty")
	}
	s := &Store{}
	if err := s.open(ctx, cfg); err != nil {
		s.Close() //nolint:errcheck // the first error is the one to report
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, cfg Config) (err error) {
	if s.lock, err = lock(cfg.Dir); err != nil {
		return err
	}
	srv, password, err := startServer(cfg)
	if err != nil {
		return fmt.Errorf("starting the embedded NATS server: %w", err)
	}
	s.srv = srv
	if s.conn, err = connectInProcess(srv, password); err != nil {
		return fmt.Errorf("connecting to the embedded NATS server: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.openStreams(ctx); err != nil {
		return err
	}
	if _, err := s.Latest(ctx); err != nil && cdn.KindOf(err) != cdn.NotFound {
		return err
	}
	return nil
}

func (s *Store) openStreams(ctx context.Context) (err error) {
	if s.js, err = jetstream.New(s.conn); err != nil {
		return fmt.Errorf("opening JetStream: %w", err)
	}
	s.snapshots, err = s.openStream(ctx, jetstream.StreamConfig{
		Name:       protocol.StreamSnapshots,
		Subjects:   []string{protocol.Snapshot},
		MaxMsgs:    keepSnapshots,
		MaxMsgSize: maxPayload,
		RePublish:  &jetstream.RePublish{Source: protocol.Snapshot, Destination: protocol.LiveSnapshot, HeadersOnly: true},
	})
	if err != nil {
		return err
	}
	s.purges, err = s.openStream(ctx, jetstream.StreamConfig{
		Name:       protocol.StreamPurges,
		Subjects:   []string{protocol.Purge},
		MaxMsgs:    keepPurges,
		MaxAge:     keepPurgesFor,
		MaxBytes:   keepPurgesBytes,
		MaxMsgSize: maxPurge + 4096,
		Duplicates: duplicateWindow,
		RePublish:  &jetstream.RePublish{Source: protocol.Purge, Destination: protocol.LivePurge},
	})
	return err
}

// openStream opens a log with the given bounds. A log that has to be made gets
// a new identity, by which nodes notice that their cursors are void.
func (s *Store) openStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	cfg.Storage, cfg.Retention, cfg.Discard = jetstream.FileStorage, jetstream.LimitsPolicy, jetstream.DiscardOld
	cfg.Replicas, cfg.AllowDirect, cfg.DenyDelete = 1, true, true
	old, err := s.js.Stream(ctx, cfg.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		cfg.Metadata = map[string]string{protocol.MetadataLogID: rand.Text()}
	case err != nil:
		return nil, fmt.Errorf("opening the log %s: %w", cfg.Name, err)
	default:
		cfg.Metadata = map[string]string{protocol.MetadataLogID: old.CachedInfo().Config.Metadata[protocol.MetadataLogID]}
	}
	stream, err := s.js.CreateOrUpdateStream(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the log %s: %w", cfg.Name, err)
	}
	return stream, nil
}

// Close stops the server. Entries being appended may or may not be in the log.
func (s *Store) Close() error {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.srv != nil {
		stopServer(s.srv)
	}
	if s.lock != nil {
		return s.lock.Close()
	}
	return nil
}

// Conn is the store's in-process connection, for the feed. It belongs to the store.
func (s *Store) Conn() *nats.Conn { return s.conn }

// URL is where nodes connect.
func (s *Store) URL() string { return s.srv.ClientURL() }

// Head returns the state of both logs, read now.
func (s *Store) Head(ctx context.Context) (h protocol.Head, err error) {
	if h.Snapshots, err = logState(ctx, s.snapshots); err != nil {
		return h, err
	}
	h.Purges, err = logState(ctx, s.purges)
	return h, err
}

func logState(ctx context.Context, stream jetstream.Stream) (protocol.Log, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return protocol.Log{}, unavailable("reading a log's state", err)
	}
	return protocol.Log{
		ID:    info.Config.Metadata[protocol.MetadataLogID],
		First: info.State.FirstSeq,
		Last:  info.State.LastSeq,
	}, nil
}

// Append stores a copy of snap as the version after prev and returns its number.
// If prev is not the newest version the error is of kind Conflict and nothing is
// stored. At and By are the caller's; Generation is set here.
func (s *Store) Append(ctx context.Context, prev cdn.Generation, snap *cdn.Snapshot) (cdn.Generation, error) {
	next := *snap
	next.Generation = prev + 1
	data, err := json.Marshal(&next)
	if err != nil {
		return 0, fmt.Errorf("encoding the snapshot: %w", err)
	}
	if len(data) > maxSnapshot {
		return 0, cdn.Errorf(cdn.Invalid, "", "the configuration has %d octets as JSON, at most %d are possible", len(data), maxSnapshot)
	}
	// A version that nobody can read back would stop every node from following.
	stored := new(cdn.Snapshot)
	if err := json.Unmarshal(data, stored); err != nil {
		return 0, cdn.Errorf(cdn.Invalid, "", "the configuration does not decode again: %w", err)
	}
	msg := &nats.Msg{Subject: protocol.Snapshot, Data: data, Header: nats.Header{
		protocol.HeaderDigest: {next.Digest()},
		protocol.HeaderSum:    {protocol.Sum(data)},
		protocol.HeaderAt:     {next.At.UTC().Format(time.RFC3339Nano)},
		protocol.HeaderBy:     {next.By},
		protocol.HeaderSites:  {strconv.Itoa(len(next.Sites))},
	}}
	ack, err := s.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequence(uint64(prev)))
	if conflict(err) {
		return 0, cdn.Errorf(cdn.Conflict, "", "version %d is not the newest any more", prev)
	}
	if err != nil {
		return 0, unavailable("appending a version", err)
	}
	s.remember(stored)
	return cdn.Generation(ack.Sequence), nil
}

func conflict(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == errCodeWrongLastSequenceConstant)
}

// errCodeWrongLastSequenceConstant is the server's other code for a failed
// compare-and-swap (JSStreamWrongLastSequenceConstantErr).
const errCodeWrongLastSequenceConstant = 10164

// remember keeps the newest snapshot decoded, whatever the order of callers.
func (s *Store) remember(snap *cdn.Snapshot) {
	for {
		old := s.latest.Load()
		if old != nil && old.Generation >= snap.Generation || s.latest.CompareAndSwap(old, snap) {
			return
		}
	}
}

// Latest returns the newest version, or an error of kind NotFound if there is
// none yet. The snapshot is shared: it must not be changed.
func (s *Store) Latest(ctx context.Context) (*cdn.Snapshot, error) {
	info, err := s.snapshots.Info(ctx)
	if err != nil {
		return nil, unavailable("reading the newest version", err)
	}
	if info.State.LastSeq == 0 {
		return nil, cdn.Errorf(cdn.NotFound, "", "there is no version yet")
	}
	if known := s.latest.Load(); known != nil && known.Generation >= cdn.Generation(info.State.LastSeq) {
		return known, nil
	}
	snap, err := s.Get(ctx, cdn.Generation(info.State.LastSeq))
	if err == nil {
		s.remember(snap)
	}
	return snap, err
}

// Get returns a version, or an error of kind NotFound if it never was or is not
// kept any more.
func (s *Store) Get(ctx context.Context, gen cdn.Generation) (*cdn.Snapshot, error) {
	msg, err := s.snapshots.GetMsg(ctx, uint64(gen))
	if errors.Is(err, jetstream.ErrMsgNotFound) || gen == 0 {
		return nil, cdn.Errorf(cdn.NotFound, "", "there is no version %d (the newest %d are kept)", gen, keepSnapshots)
	}
	if err != nil {
		return nil, unavailable("reading a version", err)
	}
	if msg.Header.Get(protocol.HeaderSum) != protocol.Sum(msg.Data) {
		return nil, fmt.Errorf("version %d is damaged: its checksum does not match", gen)
	}
	snap := new(cdn.Snapshot)
	if err := json.Unmarshal(msg.Data, snap); err != nil {
		return nil, fmt.Errorf("decoding version %d: %w", gen, err)
	}
	return snap, nil
}

// unavailable names the operation and says that it may be tried again.
func unavailable(op string, err error) error {
	return cdn.Errorf(cdn.Unavailable, "", "%s: %w", op, err)
}

// Clients is the number of connections, without the store's own.
func (s *Store) Clients() int { return max(0, s.srv.NumClients()-1) }

// Healthy returns nil while the store can be used.
func (s *Store) Healthy() error {
	if !s.srv.Running() || !s.conn.IsConnected() {
		return errors.New("the embedded NATS server is not running")
	}
	return nil
}
