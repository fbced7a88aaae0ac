package relay

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/fairshare"
	"nearcast/internal/onbehalf"
	"nearcast/scheduler/redirect"
)

const (
	defaultRequests = 1024
	defaultBody     = 64 << 20
	perClientShare  = 8 // of all requests that are under way, a client may have the part that is one by this
)

// Config says what a Relayer is made from.
type Config struct {
	// Name tells this front from others, in CDN-Loop: letters, digits and hyphens. Required.
	Name string
	// Secret is the part of the fleet's that nodes prove themselves with; without it nodes take this front for the visitor.
	Secret string
	// Requests is how many may be under way, of which one client may have an eighth, and a domain half; and less while
	// others have most of them, see [fairshare]. Zero means 1024.
	Requests int
	// Body is how long the content of a request may be, in octets. Zero means 64 MiB.
	Body int64
	// Roots are whose certificates of nodes are believed; nil means the system's.
	Roots *x509.CertPool
	// Now tells the time; nil means [time.Now].
	Now func() time.Time
	// Log gets what an operator should know. Required.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry *prometheus.Registry
}

// Relayer relays requests. It is safe for concurrent use.
type Relayer struct {
	cfg     Config
	member  string // of CDN-Loop
	places  *fairshare.Places
	nodes   *http.Transport
	proxy   httputil.ReverseProxy
	results *prometheus.CounterVec
}

// Results of a relayed request, in the metric.
const (
	resultRelayed    = "relayed"
	resultRedirected = "redirected" // the content is long enough
	resultFailed     = "failed"     // no node has answered
	resultRefused    = "refused"    // too much is under way, or it has been here before
)

// New returns a Relayer. [Relayer.Close] lets go of its connections.
func New(cfg Config) *Relayer {
	cfg.Requests, cfg.Body = cmp.Or(cfg.Requests, defaultRequests), cmp.Or(cfg.Body, defaultBody)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Relayer{
		cfg: cfg, member: "nearcast;front=" + cfg.Name, nodes: transport(cfg.Roots),
		places: fairshare.New(cfg.Requests, (cfg.Requests+perClientShare-1)/perClientShare),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_relays_total",
			Help: "Requests that were not worth a redirect, by what became of them.",
		}, []string{"result"}),
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nearcast_scheduler_relays_running",
		Help: "Requests that are being relayed to nodes.",
	}, func() float64 { return float64(r.places.Taken()) })
	cfg.Registry.MustRegister(r.results, open)
	r.proxy = httputil.ReverseProxy{
		Rewrite: r.rewrite, Transport: turns{r.nodes}, ModifyResponse: r.measure, ErrorHandler: r.fail,
		BufferPool: newBuffers(), ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return r
}

// Close lets go of the connections that are not in use.
func (r *Relayer) Close() { r.nodes.CloseIdleConnections() }

// Serve answers a request as an outcome with a Relay says, for a client. It panics with [http.ErrAbortHandler] if an answer cannot be finished.
func (r *Relayer) Serve(w http.ResponseWriter, req *http.Request, client netip.Addr, o *redirect.Outcome) {
	if r.looped(req.Header) {
		r.refuse(w, http.StatusLoopDetected, "the address of a node leads to this scheduler")
		return
	}
	if req.ContentLength > r.cfg.Body {
		r.refuse(w, http.StatusRequestEntityTooLarge, tooLong(r.cfg.Body))
		return
	}
	release, ok := r.places.Take(client, string(o.Relay.Target.Domain))
	if !ok {
		w.Header().Set("Retry-After", "1")
		r.refuse(w, http.StatusServiceUnavailable, "too many requests are being relayed")
		return
	}
	defer release()
	m := movingOf(w, req, r.cfg.Body, r.cfg.Now)
	req = req.WithContext(context.WithValue(req.Context(), errandKey{}, &errand{client: client, outcome: o}))
	req.Body = m.body()
	r.proxy.ServeHTTP(m, req)
}

func tooLong(limit int64) string {
	return "the content of a request may have " + strconv.FormatInt(limit, 10) + " octets"
}

func (r *Relayer) refuse(w http.ResponseWriter, status int, text string) {
	r.results.WithLabelValues(resultRefused).Inc()
	answer(w, status, text)
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "nearcast: "+text, status)
}

// errand is what a request is relayed for.
type errand struct {
	client  netip.Addr
	outcome *redirect.Outcome
}

type errandKey struct{}

func errandOf(ctx context.Context) *errand {
	e, _ := ctx.Value(errandKey{}).(*errand)
	return e
}

// looped reports whether the request has come through this front (RFC 8586).
func (r *Relayer) looped(h http.Header) bool {
	for _, line := range h["Cdn-Loop"] {
		for member := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(member) == r.member {
				return true
			}
		}
	}
	return false
}

// rewrite makes the request for the node. [turns] fills in which.
func (r *Relayer) rewrite(p *httputil.ProxyRequest) {
	e := errandOf(p.In.Context())
	target, h := e.outcome.Relay.Target, p.Out.Header
	p.Out.URL, p.Out.Host = target.URL(), string(target.Domain)
	p.Out.URL.Scheme = "http"
	h.Del("Upgrade")
	h.Del("Connection")
	client := e.client.Unmap().WithZone("").String()
	h.Set("X-Forwarded-For", client)
	h.Set("X-Forwarded-Proto", target.Scheme)
	h.Del(onbehalf.Field)
	if r.cfg.Secret != "" {
		h.Set(onbehalf.Field, onbehalf.Sign(r.cfg.Secret, r.cfg.Now(), p.Out.Method, target.Scheme, target.String(), client))
	}
	h["Cdn-Loop"] = append(slices.Clone(p.In.Header["Cdn-Loop"]), r.member)
	h["Via"] = append(slices.Clone(p.In.Header["Via"]), version(p.In)+" nearcast-"+r.cfg.Name)
}

// version is the received-protocol of Via (RFC 9110 section 7.6.3).
func version(r *http.Request) string {
	if r.ProtoMajor == 2 {
		return "2"
	}
	return strconv.Itoa(r.ProtoMajor) + "." + strconv.Itoa(r.ProtoMinor)
}

// measure redirects after all if the content is long enough, and lets go of it.
func (r *Relayer) measure(resp *http.Response) error {
	o := errandOf(resp.Request.Context()).outcome
	least := o.Relay.MinSize
	if least == 0 || o.Location == "" || resp.Request.Method != http.MethodGet || resp.StatusCode != http.StatusOK || resp.ContentLength < int64(least) {
		r.results.WithLabelValues(resultRelayed).Inc()
		return nil
	}
	r.results.WithLabelValues(resultRedirected).Inc()
	resp.Body.Close() //nolint:errcheck // given up
	resp.StatusCode, resp.Body, resp.ContentLength, resp.Trailer = o.Status, http.NoBody, 0, nil
	resp.Header = http.Header{
		"Location": {o.Location}, "Cache-Control": {"private, max-age=" + strconv.Itoa(o.MaxAge)}, "Content-Length": {"0"}, "Vary": {"Origin"},
	}
	if o.Origin != "" {
		resp.Header["Access-Control-Allow-Origin"], resp.Header["Access-Control-Allow-Credentials"] = []string{o.Origin}, []string{"true"}
	}
	return nil
}

// fail answers when no node has.
func (r *Relayer) fail(w http.ResponseWriter, req *http.Request, err error) {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		r.refuse(w, http.StatusRequestEntityTooLarge, tooLong(r.cfg.Body))
		return
	}
	r.results.WithLabelValues(resultFailed).Inc()
	r.cfg.Log.DebugContext(req.Context(), "no node has answered a relayed request", "host", req.Host, "error", err)
	if isTimeout(err) {
		answer(w, http.StatusGatewayTimeout, "the node has not answered in time")
		return
	}
	answer(w, http.StatusBadGateway, "no node could be reached")
}
