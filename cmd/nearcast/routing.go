package main

import (
	"context"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/feedclient"
	"nearcast/internal/geo"
	"nearcast/routequality"
	"nearcast/routequality/gossip"
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
