package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/feedclient"
	"nearcast/internal/geo"
	"nearcast/routequality"
	"nearcast/routequality/gossip"
	"nearcast/routequality/tableclient"
	"nearcast/scheduler"
	"nearcast/scheduler/api"
	"nearcast/scheduler/apiclient"
	"nearcast/scheduler/peers"
)

// routeQualityFlags are the flags of the route-quality role.
type routeQualityFlags struct {
	nodeFlags
	listen string
	gossip string
	join   string
	geo    []string
}

func newRouteQuality() *cobra.Command {
	var f routeQualityFlags
	cmd := &cobra.Command{
		Use:   "routequality",
		Short: "Run the service that knows every node's health and load, and the quality of every path",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runRouteQuality(cmd, &f) },
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "`ADDR` of the route table for schedulers, and of POPs' reports, host:port")
	flags.StringVar(&f.gossip, "gossip", "", "`ADDR` of this service in the gossip pool that connects the POPs, IP:port")
	flags.StringVar(&f.join, "join", "", "`ADDRS` of members of that pool, comma-separated")
	geoFlag(cmd, &f.geo)
	for _, name := range []string{"node", "listen", "gossip"} {
		must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

func runRouteQuality(cmd *cobra.Command, f *routeQualityFlags) error {
	r, err := f.begin(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	pool, err := r.newPool(gossip.Config{Kind: gossip.WAN, Node: r.node + "-routequality", Role: cdn.RoleRouteQuality}, "--gossip", f.gossip, f.join)
	if err != nil {
		return err
	}
	server, err := routequality.New(routequality.Config{
		Addr: f.listen, Node: r.node, Token: r.derive(forTable), Pool: pool, Log: r.log, Registry: r.registry,
	})
	if err != nil {
		return err
	}
	parts := r.followGeo(f.geo, func(d *geo.Database) {
		if err := server.ApplyPlaces(d); err != nil {
			r.log.Error("a database of addresses cannot be used", "error", err)
		}
	})
	feed, err := r.follow(&f.nodeFlags, cdn.RoleRouteQuality, feedclient.Config{OnSnapshot: server.Apply})
	if err != nil {
		return err
	}
	tellState := func(ctx context.Context) error { return announce(ctx, pool, server.Ready) }
	parts = append(parts, server.Run, feed.Run, pool.Run, tellState, r.followSecrets(f.secretFile, pool.SetSecrets))
	return r.runAll(cmd.Context(), f.admin, server.Ready, parts...)
}

// schedulerFlags are the flags of the scheduler role.
type schedulerFlags struct {
	nodeFlags
	listen       string
	http         string
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
		Short: "Run the DNS server and 302 front that send visitors to the best POP",
		Long: `Run a scheduler. With --control it follows a control plane. With --fleet and
--site it stands alone: it answers from these files and takes every node for healthy.`,
		Example: "  nearcast scheduler --listen 127.0.0.1:5353 --fleet fleet.yaml --site site.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runScheduler(cmd, &f) },
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "`ADDR` of the DNS server, UDP and TCP, host:port")
	flags.StringVar(&f.http, "http", "", "`ADDR` of the 302 front, host:port; none if empty")
	flags.StringVar(&f.api, "api", "", "`ADDR` of the API that tells of the map, host:port; none if empty")
	flags.StringArrayVar(&f.peers, "peer", nil, "another scheduler and its API as `NAME=URL`, to agree on one map with; may be given several times")
	flags.StringVar(&f.gossip, "gossip", "", "`ADDR` of this scheduler in the gossip pool that connects the POPs, IP:port; none if empty")
	flags.StringVar(&f.join, "join", "", "`ADDRS` of members of that pool, comma-separated")
	flags.StringVar(&f.routequality, "routequality", "", "`URLS` of the route-quality servers, comma-separated, the first of which that answers is followed; every node counts as healthy if empty")
	flags.StringVar(&f.fleet, "fleet", "", "stand alone with the fleet of `FILE`")
	flags.StringArrayVar(&f.sites, "site", nil, "stand alone with the sites of `FILE`; may be given several times")
	geoFlag(cmd, &f.geo)
	must(cmd.MarkFlagRequired("listen"))
	cmd.MarkFlagsMutuallyExclusive("fleet", "control")
	cmd.MarkFlagsOneRequired("fleet", "control")
	cmd.MarkFlagsMutuallyExclusive("site", "control")
	for _, name := range []string{"api", "gossip", "peer"} {
		cmd.MarkFlagsMutuallyExclusive("fleet", name)
	}
	return cmd
}

func runScheduler(cmd *cobra.Command, f *schedulerFlags) error {
	r, err := f.begin(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	server, err := scheduler.New(scheduler.Config{
		Node: r.node, DNSAddr: f.listen, HTTPAddr: f.http, Log: r.log, Registry: r.registry,
	})
	if err != nil {
		return err
	}
	if f.fleet != "" {
		return runSchedulerAlone(cmd.Context(), r, f, server)
	}
	parts := r.followPlaces(f.geo, server)
	feed, err := r.follow(&f.nodeFlags, cdn.RoleScheduler, feedclient.Config{OnSnapshot: server.Apply})
	if err != nil {
		return err
	}
	parts = append(parts, server.Run, feed.Run)
	if f.routequality != "" {
		parts = append(parts, r.followTable(f.routequality, server.ApplyTable).Run)
	}
	others, err := r.withOthers(f, server)
	if err != nil {
		return err
	}
	return r.runAll(cmd.Context(), f.admin, server.Ready, append(parts, others...)...)
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

// runSchedulerAlone answers from files.
func runSchedulerAlone(ctx context.Context, r *role, f *schedulerFlags, server *scheduler.Server) error {
	snapshot, err := readSnapshot(f.fleet, f.sites)
	if err != nil {
		return err
	}
	if snapshot.Fleet.DNS.Signed {
		if snapshot.ZoneKeys, _, err = r.standaloneKeys(f); err != nil { // scheduler.Config.Secrets is to have the secrets
			return err
		}
	}
	parts := r.followPlaces(append(f.geo, snapshot.Fleet.Geo...), server) //nolint:contextcheck // the files are read at once, before anything is served
	if err := server.Apply(snapshot); err != nil {
		return err
	}
	return r.runAll(ctx, f.admin, server.Ready, append(parts, server.Run)...)
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

// readSnapshot compiles a fleet file and site files into a configuration.
func readSnapshot(fleetFile string, siteFiles []string) (*cdn.Snapshot, error) {
	fleet, err := readFleet(fleetFile)
	if err != nil {
		return nil, err
	}
	s := &cdn.Snapshot{Generation: 1, Fleet: *fleet}
	for _, name := range siteFiles {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sites, err := compile.Sites(name, text)
		if err != nil {
			return nil, err
		}
		s.Sites = append(s.Sites, sites...)
	}
	return s, compile.Snapshot(s.Fleet, s.Sites)
}

func readFleet(name string) (*cdn.Fleet, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return compile.Fleet(name, text)
}
