package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/feedclient"
	"nearcast/internal/geo"
	"nearcast/internal/web/tlscert"
	"nearcast/routequality/gossip"
	"nearcast/routequality/tableclient"
	"nearcast/scheduler"
	"nearcast/scheduler/api"
	"nearcast/scheduler/apiclient"
	"nearcast/scheduler/peers"
	"nearcast/scheduler/querylog"
)

// schedulerFlags are the flags of the scheduler role.
type schedulerFlags struct {
	nodeFlags
	listen       string
	http         string
	tlsListen    []string
	certs        []string
	keys         []string
	httpdnsKeys  string
	tsigKeys     string
	queryLog     string
	queryEvery   int
	querySize    string
	api          string
	peers        []string
	gossip       string
	join         string
	routequality string
	fleet        string
	sites        []string
	geo          []string
}

func newScheduler() *cobra.Command {
	var f schedulerFlags
	cmd := &cobra.Command{
		Use:   "scheduler",
		Short: "Run the DNS server, and the HTTP fronts, that send visitors to the best POP",
		Long: `Run a scheduler. With --control it follows a control plane. With --fleet and
--site it stands alone: it answers from these files, which it reads again when they
change, and takes every node for healthy.`,
		Example: `  nearcast scheduler --listen 127.0.0.1:5353 --fleet fleet.yaml --site site.yaml
  nearcast scheduler --listen 127.0.0.1:5353 --tls-listen 127.0.0.1:8853 --cert cert.pem --key key.pem --http 127.0.0.1:8054 --fleet fleet.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runScheduler(cmd, &f) },
	}
	f.register(cmd)
	cmd.Flags().Lookup("dir").Usage = "`DIR` for its state: the last-known-good configuration; alone, the keys that sign zones"
	f.registerFronts(cmd)
	f.registerOthers(cmd)
	must(cmd.MarkFlagRequired("listen"))
	cmd.MarkFlagsMutuallyExclusive("fleet", "control")
	cmd.MarkFlagsOneRequired("fleet", "control")
	cmd.MarkFlagsMutuallyExclusive("site", "control")
	for _, name := range []string{"api", "gossip", "peer"} {
		cmd.MarkFlagsMutuallyExclusive("fleet", name)
	}
	return cmd
}

// registerOthers adds the flags of what a scheduler knows from other programs, and tells them, or has from files.
func (f *schedulerFlags) registerOthers(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.api, "api", "", "`ADDR` of the API that tells of the map, host:port; none if empty")
	flags.StringArrayVar(&f.peers, "peer", nil, "another scheduler and its API as `NAME=URL`, to agree on one map with; may be given several times")
	flags.StringVar(&f.gossip, "gossip", "", "`ADDR` of this scheduler in the gossip pool that connects the POPs, IP:port; none if empty")
	flags.StringVar(&f.join, "join", "", "`ADDRS` of members of that pool, comma-separated")
	flags.StringVar(&f.routequality, "routequality", "", "`URLS` of the route-quality servers, comma-separated, the first of which that answers is followed; every node counts as healthy if empty")
	flags.StringVar(&f.fleet, "fleet", "", "stand alone with the fleet of `FILE`")
	flags.StringArrayVar(&f.sites, "site", nil, "stand alone with the sites of `FILE`; may be given several times")
	geoFlag(cmd, &f.geo)
}

// registerFronts adds the flags of what questions come in by.
func (f *schedulerFlags) registerFronts(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "`ADDR` of the DNS server, UDP and TCP, host:port")
	flags.StringVar(&f.http, "http", "", "`ADDR` of the HTTP front, host:port: redirects, HTTPDNS, and DNS over HTTPS behind a proxy that ends TLS; none if empty")
	flags.StringArrayVar(&f.tlsListen, "tls-listen", nil, "`ADDR` of the same over TLS, and of DNS over TLS, host:port; may be given several times, as for the ports 443 and 853")
	flags.StringArrayVar(&f.certs, "cert", nil, "`FILE` with a certificate and its chain in PEM; give one --key for each, in the same order. Read again when it changes")
	flags.StringArrayVar(&f.keys, "key", nil, "`FILE` with the private key of a certificate in PEM")
	flags.StringVar(&f.httpdnsKeys, "httpdns-keys", "", "`FILE` with the keys of HTTPDNS's clients, a line of ID and SECRET for each, read again when it changes; everybody may ask without")
	flags.StringVar(&f.tsigKeys, "tsig-keys", "", "`FILE` with the keys of secondaries, a line of NAME, ALGORITHM and the key in base64 for each, read again when it changes")
	flags.StringVar(&f.queryLog, "query-log", "", "`FILE` that gets a line of JSON for one in so many questions, of DNS and of HTTP; none if empty")
	flags.IntVar(&f.queryEvery, "query-log-every", 100, "how `MANY` questions there are for one that is logged")
	flags.StringVar(&f.querySize, "query-log-size", "100MiB", "how long the query log may become, as a `SIZE`, before it is renamed to FILE.1 and begun anew; 0: no bound")
	cmd.MarkFlagsRequiredTogether("cert", "key")
	cmd.MarkFlagsRequiredTogether("tls-listen", "cert")
}

func runScheduler(cmd *cobra.Command, f *schedulerFlags) error {
	r, err := f.beginScheduler(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cfg, err := f.config(r)
	if err != nil {
		return err
	}
	if f.fleet != "" {
		return runSchedulerAlone(cmd.Context(), r, f, cfg)
	}
	server, parts, err := f.parts(r, cfg)
	if err != nil {
		return err
	}
	return r.runAll(cmd.Context(), f.admin, server.Ready, parts...)
}

// parts makes a scheduler that follows a control plane, and all that is to run for it.
func (f *schedulerFlags) parts(r *role, cfg scheduler.Config) (*scheduler.Server, []func(context.Context) error, error) {
	server, err := scheduler.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	parts := append(r.followPlaces(f.geo, server), logParts(&cfg)...)
	parts = append(parts, r.followKeys(server)...)
	feed, err := r.follow(&f.nodeFlags, cdn.RoleScheduler, feedclient.Config{OnSnapshot: server.Apply})
	if err != nil {
		return nil, nil, err
	}
	parts = append(parts, server.Run, feed.Run)
	if f.routequality != "" {
		parts = append(parts, r.followTable(f.routequality, server.ApplyTable).Run)
	}
	others, err := r.withOthers(f, server)
	return server, append(parts, others...), err
}

// beginScheduler is begin for a scheduler, which may have a name though it stands alone.
func (f *schedulerFlags) beginScheduler(stderr io.Writer) (*role, error) {
	if f.fleet == "" {
		return f.begin(stderr)
	}
	alone := f.nodeFlags
	alone.node = ""
	r, err := alone.begin(stderr)
	if err == nil && f.node != "" {
		if r.node, err = cdn.ParseNodeName(f.node); err != nil {
			return nil, fmt.Errorf("--node: %w", err)
		}
	}
	return r, err
}

// config is what a scheduler is made of.
func (f *schedulerFlags) config(r *role) (cfg scheduler.Config, err error) {
	cfg = scheduler.Config{
		Node: r.node, DNSAddr: f.listen, HTTPAddr: f.http, TLSAddrs: f.tlsListen, Log: r.log, Registry: r.registry,
	}
	if len(f.certs) != len(f.keys) {
		return cfg, cdn.Errorf(cdn.Invalid, "", "%d of --cert and %d of --key: give one --key for each --cert, in the same order", len(f.certs), len(f.keys))
	}
	for i := range f.certs {
		cfg.Certificates = append(cfg.Certificates, tlscert.Pair{Chain: f.certs[i], Key: f.keys[i]})
	}
	if f.secretFile != "" {
		secrets, err := readSecrets(f.secretFile)
		if err != nil {
			return cfg, err
		}
		cfg.CookieSecrets = deriveEach[[]byte](secrets, forCookies)
		cfg.RelaySecret, cfg.RedirectKey = frontSecrets(secrets)
		cfg.ZoneSecrets = r.zoneSecrets(f.secretFile)
	}
	if err := r.readKeys(f, &cfg); err != nil {
		return cfg, err
	}
	cfg.QueryLog, err = f.openQueryLog(r)
	return cfg, err
}

// openQueryLog opens the query log; nil is none.
func (f *schedulerFlags) openQueryLog(r *role) (*querylog.Log, error) {
	size, err := cdn.ParseSize(f.querySize)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--query-log-size: %w", err)
	case f.queryEvery < 1:
		return nil, cdn.Errorf(cdn.Invalid, "", "--query-log-every %d: want 1 or more", f.queryEvery)
	case f.queryLog == "":
		return nil, nil
	}
	return querylog.Open(querylog.Config{Path: f.queryLog, Every: f.queryEvery, Size: size, Log: r.log, Registry: r.registry})
}

// logParts is what writes the query log.
func logParts(cfg *scheduler.Config) []func(context.Context) error {
	if cfg.QueryLog == nil {
		return nil
	}
	return []func(context.Context) error{cfg.QueryLog.Run}
}

// withOthers returns what connects a scheduler with other programs.
func (r *role) withOthers(f *schedulerFlags, server *scheduler.Server) (parts []func(context.Context) error, err error) {
	if f.api != "" {
		told, err := api.New(api.Config{Addr: f.api, Token: r.derive(forScheduler), Source: server, Log: r.log, Registry: r.registry})
		if err != nil {
			return nil, err
		}
		parts = append(parts, told.Run)
	}
	if len(f.peers) > 0 {
		keeper, err := r.agree(f.peers, server)
		if err != nil {
			return nil, err
		}
		parts = append(parts, keeper.Run)
	}
	if f.gossip != "" {
		pool, err := r.newPool(gossip.Config{Kind: gossip.WAN, Node: r.node + "-scheduler", Role: cdn.RoleScheduler}, "--gossip", f.gossip, f.join)
		if err != nil {
			return nil, err
		}
		tellState := func(ctx context.Context) error { return announce(ctx, pool, server.Ready) }
		parts = append(parts, pool.Run, tellState, r.followSecrets(f.secretFile, pool.SetSecrets))
	}
	return parts, nil
}

// agree returns what keeps a scheduler at the same map as the others.
func (r *role) agree(others []string, server *scheduler.Server) (*peers.Keeper, error) {
	var names []string
	var list []peers.Peer
	for _, text := range others {
		name, url, ok := strings.Cut(text, "=")
		if !ok || name == "" || url == "" {
			return nil, cdn.Errorf(cdn.Invalid, "", "--peer %q: want NAME=URL, such as core-2=http://192.0.2.2:8057", text)
		}
		names = append(names, name)
		list = append(list, apiclient.New(url, r.derive(forScheduler)))
	}
	return peers.New(peers.Config{
		Self: server, Before: func(i int) bool { return string(r.node) < names[i] }, Peers: list, Log: r.log, Registry: r.registry,
	}), nil
}

// followPlaces keeps a scheduler's database of addresses current.
func (r *role) followPlaces(files []string, server *scheduler.Server) []func(context.Context) error {
	return r.followGeo(files, func(d *geo.Database) {
		if err := server.ApplyPlaces(d); err != nil {
			r.log.Error("a database of addresses cannot be used", "error", err)
		}
	})
}

// followTable returns the client that keeps the route table current, from one of the URLs, comma-separated.
func (r *role) followTable(urls string, on func(*cdn.RouteTable)) *tableclient.Client {
	return tableclient.New(tableclient.Config{URLs: splitList(urls), Token: r.derive(forTable), OnTable: on, Log: r.log})
}
