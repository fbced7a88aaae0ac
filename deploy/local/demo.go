package local

import (
	"context"
	"fmt"
	"time"

	"nearcast/control/apiclient"
	"nearcast/control/compile"
	"nearcast/control/wire"
)

// applyDemo gives a lab that has no sites the demo sites, and waits until every
// process has the configuration.
func (l *Lab) applyDemo(ctx context.Context) error {
	api := apiclient.New("http://"+l.plan.API, l.secrets.Token)
	defer api.Close()
	api.Actor = "nearcast up"
	sites, err := api.Sites(ctx)
	if err != nil {
		return err
	}
	if len(sites) == 0 {
		text, err := compile.FormatSites(l.demoSites()...)
		if err != nil {
			return fmt.Errorf("writing the demo sites: %w", err)
		}
		if _, err := api.Apply(ctx, wire.ApplyRequest{Files: []wire.File{{Name: "demo", Content: string(text)}}}); err != nil {
			return err
		}
	}
	status, err := api.Status(ctx)
	if err != nil {
		return err
	}
	return api.AwaitGeneration(ctx, status.Generation, 100*time.Millisecond)
}
