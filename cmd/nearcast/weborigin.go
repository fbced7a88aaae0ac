package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"nearcast/internal/weborigin"
)

func newWebOrigin() *cobra.Command {
	var f nodeFlags
	var cfg weborigin.Config
	var accessLog string
	cmd := &cobra.Command{
		Use:    "web-origin",
		Short:  "Run the lab's web origin: a plain file server",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := f.begin(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			cfg.Log = r.log
			if accessLog != "" {
				file, err := os.OpenFile(accessLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
				if err != nil {
					return err
				}
				defer file.Close() //nolint:errcheck // each line was written when it was made
				cfg.AccessLog = file
			}
			serve := func(ctx context.Context) error { return weborigin.Run(ctx, cfg) }
			return r.runAll(cmd.Context(), f.admin, nil, serve)
		},
	}
	f.registerAdmin(cmd)
	cmd.Flags().StringVar(&cfg.Addr, "listen", "", "`ADDR` to serve on, host:port")
	cmd.Flags().StringVar(&cfg.Root, "root", "", "`DIR` to serve")
	cmd.Flags().DurationVar(&cfg.MaxAge, "max-age", 10*time.Minute, "freshness lifetime in Cache-Control, a `DURATION`")
	cmd.Flags().StringVar(&accessLog, "access-log", "", "`FILE` that gets a line of JSON for each request; none if empty")
	must(cmd.MarkFlagRequired("listen"))
	must(cmd.MarkFlagRequired("root"))
	return cmd
}
