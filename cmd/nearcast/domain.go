package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/wire"
)

func newDomain() *cobra.Command {
	cmd := &cobra.Command{Use: "domain", Short: "Add a domain in one line"}
	cmd.AddCommand(newDomainAdd())
	return cmd
}

// domainFlags are the flags of domain add.
type domainFlags struct {
	applyFlags
	origin string
	host   string
	ttl    string
	site   string
}

func newDomainAdd() *cobra.Command {
	var f domainFlags
	cmd := &cobra.Command{
		Use:   "add DOMAIN --origin URL",
		Short: "Serve a domain from an origin",
		Long: `Serve a domain from an origin: makes a site for it and prints the CNAME to set.
For anything more, write a site file and apply it.`,
		Example: "  nearcast domain add www.shop.example --origin https://origin.shop.example",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runDomainAdd(cmd, &f, args[0]) },
	}
	f.registerChange(cmd)
	cmd.Flags().StringVar(&f.origin, "origin", "", "`URL` of the origin: scheme, host and optional port")
	cmd.Flags().StringVar(&f.host, "host", "", "Host field sent to the origin, a `NAME`; default is the visitor's")
	cmd.Flags().StringVar(&f.ttl, "ttl", "", "freshness `TIME` of cacheable responses in place of what the origin says")
	cmd.Flags().StringVar(&f.site, "site", "", "`NAME` of the site; default is the domain with hyphens for dots")
	must(cmd.MarkFlagRequired("origin"))
	return cmd
}

// newSite is the answer of domain add.
type newSite struct {
	wire.ApplyResult
	Domain cdn.Domain `json:"domain"`
	CNAME  cdn.Domain `json:"cname"`
}

func runDomainAdd(cmd *cobra.Command, f *domainFlags, name string) error {
	site, err := f.build(name)
	if err != nil {
		return err
	}
	api, err := f.connect()
	if err != nil {
		return err
	}
	sites, err := api.Sites(cmd.Context())
	if err != nil {
		return err
	}
	for _, s := range sites {
		if s.Name == site.Name {
			return cdn.Errorf(cdn.Conflict, "", "there is a site %q already; change it with apply, or choose another name with --site", s.Name)
		}
	}
	text, err := compile.FormatSites(*site)
	if err != nil {
		return err
	}
	result, err := api.Apply(cmd.Context(), wire.ApplyRequest{Files: []wire.File{{Name: "domain add", Content: string(text)}}})
	if err != nil {
		return err
	}
	status, err := api.Status(cmd.Context())
	if err != nil {
		return err
	}
	added := newSite{ApplyResult: result, Domain: site.Domains[0], CNAME: site.Domains[0].Under(status.Zone)}
	err = f.print(cmd.OutOrStdout(), added, func() [][]string {
		return [][]string{
			{"SITE", "GENERATION", "DOMAIN", "CNAME"},
			{string(site.Name), fmt.Sprint(result.Generation), string(added.Domain), string(added.CNAME)},
		}
	})
	if err != nil {
		return err
	}
	return f.await(cmd, api, result.Generation)
}

// build makes the site of the flags.
func (f *domainFlags) build(name string) (*cdn.Site, error) {
	domain, err := cdn.ParseDomain(name)
	if err != nil {
		return nil, err
	}
	origin, err := cdn.ParseOriginURL(f.origin)
	if err != nil {
		return nil, err
	}
	if f.site == "" {
		f.site = strings.NewReplacer(".", "-", "_", "-").Replace(string(domain))
	}
	site := &cdn.Site{Domains: []cdn.Domain{domain}, Origin: cdn.Origin{Type: cdn.OriginHTTP, URLs: []string{origin}, Host: f.host}}
	if site.Name, err = cdn.ParseSiteName(f.site); err != nil {
		return nil, fmt.Errorf("%w; choose one with --site", err)
	}
	if f.ttl != "" {
		ttl, err := cdn.ParseDuration(f.ttl)
		if err != nil {
			return nil, fmt.Errorf("--ttl: %w", err)
		}
		site.Routes = []cdn.Route{{TTL: ttl}}
	}
	return site, nil
}
