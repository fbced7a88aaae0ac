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
	"nearcast/routequality/tableclient"
	"nearcast/scheduler"
)

func newRouteQuality() *cobra.Command {
	var f nodeFlags
	var listen, gossip, join string
	cmd := &cobra.Command{
		Use:   "routequality",
		Short: "Run the service that knows every node's health",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runRouteQuality(cmd, &f, listen, gossip, join)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&listen, "listen", "", "`ADDR` of the route table for schedulers, host:port")
	cmd.Flags().StringVar(&gossip, "gossip", "", "`ADDR` of this service in the gossip pool, IP:port")
	cmd.Flags().StringVar(&join, "join", "", "`ADDRS` of members of the gossip pool, comma-separated")
	for _, name := range []string{"node", "listen", "gossip"} {
		must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

func runRouteQuality(cmd *cobra.Command, f *nodeFlags, listen, gossip, join string) error {
	r, err := f.begin(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	pool, err := newPool(r, cdn.RoleRouteQuality, r.node+"-routequality", gossip, join)
	if err != nil {
		return err
	}
	server, err := routequality.New(routequality.Config{
		Addr: listen, Node: r.node, Token: r.derive(forTable), Pool: pool, Log: r.log, Registry: r.registry,
	})
	if err != nil {
		return err
	}
	feed, err := r.follow(f, cdn.RoleRouteQuality, feedclient.Config{OnSnapshot: server.Apply})
	if err != nil {
		return err
	}
	return r.runAll(cmd.Context(), f.admin, server.Ready, server.Run, feed.Run, pool.Run)
}

// schedulerFlags are the flags of the scheduler role.
type schedulerFlags struct {
	nodeFlags
	listen       string
	http         string
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
	flags.StringVar(&f.routequality, "routequality", "", "`URLS` of the route-quality service, comma-separated: one after the other is asked until one answers; every node counts as healthy if empty")
	flags.StringVar(&f.fleet, "fleet", "", "stand alone with the fleet of `FILE`")
	flags.StringArrayVar(&f.sites, "site", nil, "stand alone with the sites of `FILE`; may be given several times")
	geoFlag(cmd, &f.geo)
	must(cmd.MarkFlagRequired("listen"))
	cmd.MarkFlagsMutuallyExclusive("fleet", "control")
	cmd.MarkFlagsOneRequired("fleet", "control")
	cmd.MarkFlagsMutuallyExclusive("site", "control")
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
	return r.runAll(cmd.Context(), f.admin, server.Ready, parts...)
}

// runSchedulerAlone answers from files.
func runSchedulerAlone(ctx context.Context, r *role, f *schedulerFlags, server *scheduler.Server) error {
	snapshot, err := readSnapshot(f.fleet, f.sites)
	if err != nil {
		return err
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
	return tableclient.New(tableclient.Config{URLs: strings.Split(urls, ","), Token: r.derive(forTable), OnTable: on, Log: r.log})
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
