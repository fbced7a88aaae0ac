package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/internal/gctune"
	"nearcast/internal/web/tlscert"
	"nearcast/origin"
)

// edgeFlags are the flags of the edge role.
type edgeFlags struct {
	nodeFlags
	listen    string
	origin    string
	ram       string
	disks     []string
	verify    string
	accessLog string
	obey      bool
	geo       []string
	fleetFlags

	tlsListen string
	certs     []string
	keys      []string
	limits    edge.Limits
}

func newEdge() *cobra.Command {
	var f edgeFlags
	cmd := &cobra.Command{
		Use:   "edge",
		Short: "Run a cache node, or a stand-alone caching proxy",
		Long: `Run a cache. As a node of a fleet it is an edge (L1) or regional (L2) node,
according to the tier of its POP. With --origin it stands alone: a caching proxy in
front of one origin that obeys the origin's headers and adds no rule of its own; with
--dir it writes DIR/access.ndjson.`,
		Example: `  nearcast edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000
  nearcast edge --tls-listen 127.0.0.1:8443 --cert cert.pem --key key.pem --origin http://127.0.0.1:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runEdge(cmd, &f)
		},
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "`ADDR` that visitors connect to in cleartext, host:port")
	flags.StringVar(&f.tlsListen, "tls-listen", "", "`ADDR` that visitors connect to with TLS, host:port; HTTP/2 and HTTP/1.1")
	flags.StringArrayVar(&f.certs, "cert", nil, "`FILE` with a certificate and its chain in PEM; give one --key for each, in the same order. Read again when it changes")
	flags.StringArrayVar(&f.keys, "key", nil, "`FILE` with the private key of a certificate in PEM")
	registerLimits(cmd, &f.limits)
	geoFlag(cmd, &f.geo)
	flags.StringVar(&f.origin, "origin", "", "stand alone in front of the origin at `URL`")
	flags.BoolVar(&f.obey, "obey-request-cache-control", false, "stand alone and let visitors' Cache-Control force validation; it lets any of them send load to the origin")
	flags.StringVar(&f.ram, "ram", "512MiB", "memory that stored objects, and fetches on their way, may fill, as a `SIZE`")
	flags.StringArrayVar(&f.disks, "disk", nil, "directory on a disk that stored objects may fill, and how much of it, as `PATH:SIZE`; a SIZE alone means DIR/cache. Give it once for each disk")
	flags.StringVar(&f.verify, "verify-rate", "4MiB", "how much of the disks' content is read and compared with its checksums in the background, as a `SIZE` in a second; 0 for nothing")
	flags.StringVar(&f.accessLog, "access-log", "", "`FILE` that gets a line of JSON for each request; none if empty")
	f.registerFleet(flags)
	cmd.MarkFlagsOneRequired("listen", "tls-listen")
	cmd.MarkFlagsRequiredTogether("cert", "key")
	cmd.MarkFlagsMutuallyExclusive("origin", "control")
	cmd.MarkFlagsOneRequired("origin", "control")
	cmd.MarkFlagsRequiredTogether("control", "pop", "gossip")
	return cmd
}

// registerLimits adds the flags of the limits, with the defaults of [edge.Limits]. Zero is one that depends on another limit.
func registerLimits(cmd *cobra.Command, l *edge.Limits) {
	flags := cmd.Flags()
	flags.IntVar(&l.Connections, "max-connections", 100_000, "most connections; more are closed at once")
	flags.IntVar(&l.ConnectionsPerClient, "max-connections-per-client", 0, "most connections of one IPv4 address or IPv6 /64 (default half of --max-connections)")
	flags.IntVar(&l.Handshakes, "max-handshakes", 10_000, "most TLS handshakes under way; the oldest makes room")
	flags.IntVar(&l.HandshakesPerClient, "max-handshakes-per-client", 1_000, "most TLS handshakes of one IPv4 address or IPv6 /64")
	flags.IntVar(&l.Streams, "max-streams", 128, "most requests under way on one connection of HTTP/2")
	flags.IntVar(&l.Fills, "max-fills", 4096, "most fetches into the cache under way")
	flags.IntVar(&l.FillsPerClient, "max-fills-per-client", 0, "most of them started for one IPv4 address or IPv6 /64 (default a quarter of --max-fills)")
	flags.IntVar(&l.HeaderBytes, "max-header-bytes", 64<<10, "largest head of a request in octets")
	flags.DurationVar(&l.HeaderTime, "header-timeout", 10*time.Second, "longest time for a request's head, and for a TLS handshake")
	flags.DurationVar(&l.IdleTime, "idle-timeout", 75*time.Second, "longest wait of a connection for a request")
	flags.DurationVar(&l.Stall, "stall-timeout", time.Minute, "longest time in which a visitor sends nothing of a body, or takes nothing of a response")
	flags.IntVar(&l.MinRate, "min-rate", 500, "octets of a body that a visitor has to send in a second, on average")
}

// checkLimits refuses limits that bound nothing or let nobody in.
func checkLimits(cmd *cobra.Command) error {
	for _, name := range [...]string{
		"max-connections", "max-connections-per-client", "max-handshakes", "max-handshakes-per-client", "max-streams", "max-fills", "max-fills-per-client",
		"max-header-bytes", "header-timeout", "idle-timeout", "stall-timeout", "min-rate",
	} {
		f := cmd.Flags().Lookup(name)
		if text := f.Value.String(); f.Changed && (text == "0" || text == "0s" || strings.HasPrefix(text, "-")) {
			return cdn.Errorf(cdn.Invalid, "", "--%s %s: want more than zero", name, text)
		}
	}
	return nil
}

// parseDisks parses the values of --disk.
func parseDisks(texts []string) (disks []cdn.Disk, err error) {
	seen := make(map[string]bool)
	for _, text := range texts {
		d, err := cdn.ParseDisk(text)
		if err != nil {
			return nil, fmt.Errorf("--disk: %w", err)
		}
		path := filepath.Clean(cmp.Or(d.Path, "in the state directory"))
		if seen[path] {
			return nil, cdn.Errorf(cdn.Invalid, "", "--disk %q: the directory is given twice", text)
		}
		seen[path] = true
		disks = append(disks, d)
	}
	return disks, nil
}

// certificates are the pairs of --cert and --key.
func (f *edgeFlags) certificates() ([]tlscert.Pair, error) {
	switch {
	case len(f.certs) != len(f.keys):
		return nil, cdn.Errorf(cdn.Invalid, "", "%d --cert and %d --key: want one key for each certificate", len(f.certs), len(f.keys))
	case f.tlsListen != "" && len(f.certs) == 0:
		return nil, cdn.Errorf(cdn.Invalid, "", "--tls-listen needs --cert and --key")
	case f.tlsListen == "" && len(f.certs) > 0:
		return nil, cdn.Errorf(cdn.Invalid, "", "--cert and --key are for --tls-listen")
	}
	var pairs []tlscert.Pair
	for i := range f.certs {
		pairs = append(pairs, tlscert.Pair{Chain: f.certs[i], Key: f.keys[i]})
	}
	return pairs, nil
}

func runEdge(cmd *cobra.Command, f *edgeFlags) error {
	r, err := f.begin(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	ram, err := cdn.ParseSize(f.ram)
	if err != nil {
		return err
	}
	defer gctune.Start(edge.MemoryTarget(ram))()
	cfg := edge.Config{
		Node: r.node, Addr: f.listen, TLSAddr: f.tlsListen, Limits: f.limits, RAM: ram, Dir: f.dir, AccessLog: f.accessLog,
		Log: r.log, Registry: r.registry, Version: Version,
	}
	if cfg.Disks, err = parseDisks(f.disks); err != nil {
		return err
	}
	if cfg.VerifyRate, err = cdn.ParseSize(f.verify); err != nil {
		return fmt.Errorf("--verify-rate: %w", err)
	}
	if cfg.Certificates, err = f.certificates(); err != nil {
		return err
	}
	if err := checkLimits(cmd); err != nil {
		return err
	}
	client := origin.New(origin.Config{Log: r.log, Registry: r.registry})
	defer client.Close()
	cfg.Origin = client
	if f.origin != "" {
		return runStandalone(cmd.Context(), r, f, cfg)
	}
	return runCacheNode(cmd.Context(), r, f, cfg)
}

func runStandalone(ctx context.Context, r *role, f *edgeFlags, cfg edge.Config) error {
	site, err := cdn.ParseOriginURL(f.origin)
	if err != nil {
		return err
	}
	if f.dir != "" && cfg.AccessLog == "" {
		if err := os.MkdirAll(f.dir, 0o700); err != nil {
			return fmt.Errorf("making the state directory: %w", err)
		}
		cfg.AccessLog = filepath.Join(f.dir, "access.ndjson")
	}
	server, err := edge.New(cfg)
	if err != nil {
		return err
	}
	rule := cdn.Route{ObeyRequestCacheControl: f.obey}
	if err := server.ApplyStandalone(&cdn.Origin{URLs: []string{site}}, rule); err != nil {
		return err
	}
	parts := append(r.followGeo(f.geo, server.ApplyPlaces), server.Run) //nolint:contextcheck // the files are read at once, before anything is served
	return r.runAll(ctx, f.admin, server.Ready, parts...)
}

// must panics on an error that only a mistake in the program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
