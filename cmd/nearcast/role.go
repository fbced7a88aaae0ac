package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
	"nearcast/control/feedclient"
	"nearcast/internal/admin"
)

// nodeFlags are the flags that every role has which follows the control plane.
type nodeFlags struct {
	node       string
	dir        string
	control    string
	secretFile string
	admin      string
	logLevel   string
}

func (f *nodeFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.node, "node", "", "this node's `NAME` in the fleet file")
	flags.StringVar(&f.dir, "dir", "", "`DIR` for the node's state, such as the last-known-good configuration")
	flags.StringVar(&f.control, "control", "", "`URL` of the control plane's feed, such as nats://192.0.2.1:4222")
	flags.StringVar(&f.secretFile, "secret-file", "", "`FILE` with the fleet's secret")
	f.registerAdmin(cmd)
}

func (f *nodeFlags) registerAdmin(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.admin, "admin", "", "`ADDR` for /healthz, /readyz and /metrics, host:port; none if empty")
	cmd.Flags().StringVar(&f.logLevel, "log-level", "info", "least important `LEVEL` to log: debug, info, warn or error")
}

// role is a running role's surroundings.
type role struct {
	node     cdn.NodeName
	secrets  []string // the fleet's, the one in use first; none if what stands alone has been given none
	log      *slog.Logger
	registry *prometheus.Registry
	keyFiles []*keysFile // of a scheduler
}

// begin checks the common flags and makes the surroundings.
func (f *nodeFlags) begin(stderr io.Writer) (*role, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "--log-level %q: want debug, info, warn or error", f.logLevel)
	}
	r := &role{
		log:      slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level})),
		registry: admin.NewRegistry(),
	}
	var err error
	if f.control == "" && f.node == "" {
		if f.secretFile != "" { // what stands alone may share one with nodes
			r.secrets, err = readSecrets(f.secretFile)
		}
		return r, err
	}
	for _, required := range []struct{ flag, value string }{
		{"--node", f.node}, {"--dir", f.dir}, {"--control", f.control}, {"--secret-file", f.secretFile},
	} {
		if required.value == "" {
			return nil, cdn.Errorf(cdn.Invalid, "", "%s is missing: a node of a fleet needs --node, --dir, --control and --secret-file", required.flag)
		}
	}
	if r.node, err = cdn.ParseNodeName(f.node); err != nil {
		return nil, fmt.Errorf("--node: %w", err)
	}
	if r.secrets, err = readSecrets(f.secretFile); err != nil {
		return nil, err
	}
	return r, nil
}

// follow returns the client that keeps a role's configuration current.
func (r *role) follow(f *nodeFlags, job cdn.Role, on feedclient.Config) (*feedclient.Client, error) {
	on.URL, on.Secret, on.Node, on.Role, on.Version, on.Dir = f.control, r.derive(forFeed), r.node, job, Version, f.dir
	on.Log, on.Registry = r.log, r.registry
	return feedclient.New(on)
}

// runAll runs the parts of a role together with its admin server until ctx ends
// or one of them fails, which ends the others.
func (r *role) runAll(ctx context.Context, adminAddr string, ready func() error, parts ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	if adminAddr != "" {
		group.Go(func() error {
			return admin.Run(ctx, admin.Config{Addr: adminAddr, Registry: r.registry, Ready: ready, Log: r.log})
		})
	}
	for _, part := range parts {
		group.Go(func() error { return part(ctx) })
	}
	return group.Wait()
}

// parseAddrs parses a comma-separated list of IP:port.
func parseAddrs(list string) ([]netip.AddrPort, error) {
	var addrs []netip.AddrPort
	for text := range strings.SplitSeq(list, ",") {
		if text == "" {
			continue
		}
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, cdn.Errorf(cdn.Invalid, "", "address %q: want IP:port", text)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}
