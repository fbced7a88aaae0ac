package main

import (
	"context"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control"
)

// controlFlags are the flags of the control role.
type controlFlags struct {
	nodeFlags
	listen       string
	feed         string
	tokenFile    string
	fleet        string
	routequality string
	schedulers   []string
}

func newControl() *cobra.Command {
	var f controlFlags
	cmd := &cobra.Command{
		Use:   "control",
		Short: "Run the control plane: configuration, purges, API",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runControl(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.node, "node", "", "this node's `NAME` in the fleet file")
	flags.StringVar(&f.dir, "dir", "", "`DIR` for the versions and the purge log")
	flags.StringVar(&f.listen, "listen", "", "`ADDR` of the operators' API, host:port")
	flags.StringVar(&f.feed, "feed", "", "`ADDR` of the feed that nodes follow, host:port")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` with the bearer token of the API")
	flags.StringVar(&f.secretFile, "secret-file", "", "`FILE` with the fleet's secret")
	flags.StringVar(&f.fleet, "fleet", "", "`FILE` with the fleet; a changed one becomes a new version at start, unless it leaves little of what there was: see nearcast fleet accept")
	flags.StringVar(&f.routequality, "routequality", "", "`URL` of the route-quality service, for the health that nodes and status show")
	flags.StringSliceVar(&f.schedulers, "scheduler", nil, "`URL` of a scheduler's own API, for the map and for why visitors are sent where they are; may be given several times, or several with commas")
	f.registerAdmin(cmd)
	for _, name := range []string{"dir", "listen", "feed", "token-file", "secret-file"} {
		must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

func runControl(cmd *cobra.Command, f *controlFlags) error {
	f.control = f.feed // it is its own
	if f.node == "" {
		f.node = "control"
	}
	r, err := f.begin(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cfg := control.Config{
		Dir: f.dir, APIAddr: f.listen, NATSAddr: f.feed, NodeSecret: r.derive(forFeed),
		Schedulers: f.schedulers, SchedulerToken: r.derive(forScheduler), ZoneSecrets: r.zoneSecrets(f.secretFile),
		Log: r.log, Registry: r.registry, Version: Version,
	}
	if cfg.APIToken, err = readSecret(f.tokenFile); err != nil {
		return err
	}
	if f.fleet != "" {
		if cfg.Fleet, err = readFleet(f.fleet); err != nil {
			return err
		}
	}
	var parts []func(context.Context) error
	if f.routequality != "" {
		table := r.followTable(f.routequality, func(*cdn.RouteTable) {})
		cfg.Health = table.Latest
		parts = append(parts, table.Run)
	}
	server, err := control.New(cfg)
	if err != nil {
		return err
	}
	return r.runAll(cmd.Context(), f.admin, server.Ready, append(parts, server.Run)...)
}
