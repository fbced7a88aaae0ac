package cacheadmin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
)

// Node is the cache that is looked into. Its methods may be called from any goroutine.
type Node interface { //nolint:interfacebloat // one for each request that there is
	// Stats reports the fill level and history.
	Stats() Stats
	// List calls yield with what a filter chooses, in no order, until it returns false, and says whether there is more than Filter.Limit.
	List(ctx context.Context, f Filter, yield func(*Entry) bool) (more bool, err error)
	// Show returns what is stored of a URL.
	Show(ctx context.Context, target cdn.Target) (*Shown, error)
	// Verify compares all checksums on the disks, at most rate octets in a second (0: as fast as it goes), and calls tell now and then.
	Verify(ctx context.Context, rate int64, tell func(Report)) (Report, error)
	// Drop removes what is stored of a URL from this node.
	Drop(target cdn.Target) (Dropped, error)
	// DropAll removes everything from this node.
	DropAll() (Dropped, error)
}

const (
	maxStreams = 4           // lists and verifications at a time
	stall      = time.Minute // longest time in which nothing is taken of an answer
	maxDrop    = 1000        // URLs at a time
	tick       = time.Second // between reports of a verification
)

// Serve answers on l until ctx ends. It closes l.
func Serve(ctx context.Context, l net.Listener, node Node, log *slog.Logger) error {
	h := &handler{node: node, turns: make(chan struct{}, maxStreams)}
	srv := &http.Server{
		Handler:           h.mux(),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := srv.Shutdown(stopping) // requests end with ctx
	if err != nil {
		err = srv.Close()
	}
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// handler answers requests.
type handler struct {
	node  Node
	turns chan struct{}
}

func (h *handler) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/stats", func(w http.ResponseWriter, _ *http.Request) {
		httpjson.Write(w, http.StatusOK, h.node.Stats())
	})
	mux.HandleFunc("GET /v1/objects", h.list)
	mux.HandleFunc("GET /v1/object", h.show)
	mux.HandleFunc("POST /v1/verify", h.verify)
	mux.HandleFunc("POST /v1/drop", h.drop)
	return mux
}

// line is one line of an answer that comes in pieces. One of its fields is set.
type line struct {
	Entry    *Entry            `json:"entry,omitempty"`
	End      *end              `json:"end,omitempty"`
	Progress *Report           `json:"progress,omitempty"`
	Report   *Report           `json:"report,omitempty"`
	Error    *httpjson.Problem `json:"error,omitempty"`
}

// end ends a list.
type end struct {
	More bool `json:"more"`
}

// stream sends an answer line by line.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	encoder *json.Encoder
	failed  error
}

// open begins a stream, if there are not too many.
func (h *handler) open(w http.ResponseWriter) (*stream, bool) {
	select {
	case h.turns <- struct{}{}:
	default:
		httpjson.WriteError(w, cdn.Errorf(cdn.Unavailable, "", "%d lists and verifications are running: wait for one to end", maxStreams))
		return nil, false
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &stream{w: w, control: http.NewResponseController(w), encoder: json.NewEncoder(w)}, true
}

func (h *handler) done() { <-h.turns }

// send reports whether the line is on its way.
func (s *stream) send(l *line) bool {
	if s.failed == nil {
		s.failed = s.control.SetWriteDeadline(time.Now().Add(stall))
	}
	if s.failed == nil {
		s.failed = s.encoder.Encode(l)
	}
	return s.failed == nil
}

// fail ends an answer with an error.
func (s *stream) fail(err error) {
	kind := cdn.KindOf(err)
	s.send(&line{Error: &httpjson.Problem{Title: err.Error(), Status: httpjson.Status(kind), Kind: kind.String()}})
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		httpjson.WriteError(w, err)
		return
	}
	s, ok := h.open(w)
	if !ok {
		return
	}
	defer h.done()
	more, err := h.node.List(r.Context(), f, func(e *Entry) bool { return s.send(&line{Entry: e}) })
	if err != nil {
		s.fail(err)
		return
	}
	s.send(&line{End: &end{more}})
}

func parseFilter(v url.Values) (f Filter, err error) {
	f.Site = v.Get("site")
	if f.Tier, err = ParseTier(v.Get("tier")); err != nil {
		return f, err
	}
	if text := v.Get("limit"); text != "" {
		if f.Limit, err = strconv.Atoi(text); err != nil || f.Limit < 0 {
			return f, cdn.Errorf(cdn.Invalid, "", "limit %q: want a number of entries, 0 for all", text)
		}
	}
	if text := v.Get("prefix"); text != "" {
		t, err := cdn.ParseTarget(text)
		if err != nil {
			return f, err
		}
		f.Prefix = t.String()
	}
	return f, nil
}

func (h *handler) show(w http.ResponseWriter, r *http.Request) {
	target, err := cdn.ParseTarget(r.URL.Query().Get("url"))
	if err == nil {
		var shown *Shown
		if shown, err = h.node.Show(r.Context(), target); err == nil {
			httpjson.Write(w, http.StatusOK, shown)
			return
		}
	}
	httpjson.WriteError(w, err)
}

func (h *handler) verify(w http.ResponseWriter, r *http.Request) {
	rate, err := strconv.ParseInt(r.URL.Query().Get("rate"), 10, 64)
	if err != nil || rate < 0 {
		httpjson.WriteError(w, cdn.Errorf(cdn.Invalid, "", "rate %q: want octets in a second, 0 for as fast as it goes", r.URL.Query().Get("rate")))
		return
	}
	s, ok := h.open(w)
	if !ok {
		return
	}
	defer h.done()
	var last time.Time
	report, err := h.node.Verify(r.Context(), rate, func(so Report) {
		if now := time.Now(); now.Sub(last) >= tick {
			last = now
			s.send(&line{Progress: &so})
			if s.failed == nil {
				s.failed = s.control.Flush()
			}
		}
	})
	if err != nil {
		s.fail(err)
		return
	}
	s.send(&line{Report: &report})
}

// dropRequest is what is to be dropped.
type dropRequest struct {
	URLs []string `json:"urls,omitempty"`
	All  bool     `json:"all,omitempty"`
}

func (h *handler) drop(w http.ResponseWriter, r *http.Request) {
	var req dropRequest
	if err := httpjson.Read(r, &req); err != nil {
		httpjson.WriteError(w, err)
		return
	}
	dropped, err := h.dropped(&req)
	if err != nil {
		httpjson.WriteError(w, err)
		return
	}
	httpjson.Write(w, http.StatusOK, dropped)
}

func (h *handler) dropped(req *dropRequest) (list []Dropped, err error) {
	switch {
	case req.All == (len(req.URLs) > 0):
		return nil, cdn.Errorf(cdn.Invalid, "", "want URLs, or everything")
	case len(req.URLs) > maxDrop:
		return nil, cdn.Errorf(cdn.Invalid, "", "%d URLs: at most %d at a time", len(req.URLs), maxDrop)
	case req.All:
		d, err := h.node.DropAll()
		return []Dropped{d}, err
	}
	targets := make([]cdn.Target, len(req.URLs))
	for i, u := range req.URLs { // all of them, before anything is done
		if targets[i], err = cdn.ParseTarget(u); err != nil {
			return nil, err
		}
	}
	for _, t := range targets {
		d, err := h.node.Drop(t)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}
