package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/wire"
)

func newPurge() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Throw content out of every cache, or have it validated",
		Long: `Throw content out of every cache: by URL, by directory, by a tag that the origin gave it,
by a regular expression, or everything of a site. When a command returns, the purge is on
disk and no restart can lose it; with --wait it has also been applied by every node that
answers.

With --soft the content becomes stale instead: the site's stale-while-revalidate and
stale-if-error apply, otherwise the origin is asked whether it still holds before it is
used again. That spares the origin what has not changed.`,
	}
	cmd.AddCommand(newPurgeURL(), newPurgeDir(), newPurgeTag(), newPurgeRegex(), newPurgeSite())
	return cmd
}

// purgeFlags are the flags of all purges.
type purgeFlags struct {
	operatorFlags
	wait, soft   bool
	site, domain string
}

func (f *purgeFlags) register(cmd *cobra.Command) {
	f.operatorFlags.register(cmd)
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until every node has applied it, 5 s at most")
	cmd.Flags().BoolVar(&f.soft, "soft", false, "make the content stale instead of throwing it away")
}

// run sends a request and shows what has become of it.
func (f *purgeFlags) run(cmd *cobra.Command, req wire.PurgeRequest) error {
	api, err := f.connect()
	if err != nil {
		return err
	}
	req.Wait, req.Soft, req.Site, req.Domain = f.wait, f.soft, f.site, f.domain
	result, err := api.Purge(cmd.Context(), req)
	if err != nil {
		return err
	}
	err = f.print(cmd.OutOrStdout(), result, func() [][]string {
		return [][]string{
			{"ID", "REVISION", "APPLIED", "MISSING"},
			{result.ID, fmt.Sprint(result.Revision), nodeList(result.Applied), nodeList(result.Missing)},
		}
	})
	if err == nil && len(result.Missing) > 0 {
		return cdn.Errorf(cdn.Unavailable, "", "%d nodes have not applied the purge yet: %s", len(result.Missing), nodeList(result.Missing))
	}
	return err
}

func newPurgeURL() *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "url URL...",
		Short: "Purge URLs",
		Long: `Purge the content of URLs, by http and by https, with all its variants. A route that leaves
parts of URLs out of the cache key is taken into account: everything goes that the URL
would be answered with.`,
		Example: `  nearcast purge url http://www.shop.example/price.json
  nearcast purge url --soft https://www.shop.example/ https://www.shop.example/news`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, wire.PurgeRequest{URLs: args})
		},
	}
	f.register(cmd)
	return cmd
}

func newPurgeDir() *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "dir URL/...",
		Short: "Purge directories with all that is below them",
		Long: `Purge everything whose URL begins with that of a directory, by http and by https, at any
depth and with any query. The URL ends in "/".`,
		Example: `  nearcast purge dir http://www.shop.example/img/
  nearcast purge dir --soft http://www.shop.example/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, wire.PurgeRequest{Directories: args})
		},
	}
	f.register(cmd)
	return cmd
}

func newPurgeTag() *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "tag --site SITE TAG...",
		Short: "Purge what the origin gave a tag",
		Long: `Purge every response of a site that has one of the tags. An origin gives a response tags in
the field Surrogate-Key, with spaces between them, or Cache-Tag, with commas; visitors
do not see these fields. Letter case counts.`,
		Example: `  nearcast purge tag --site shop product-17
  nearcast purge tag --site www.shop.example --soft product-17 category-shoes`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, wire.PurgeRequest{Tags: args})
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.site, "site", "", "`SITE` whose content it is, by name or by one of its domains")
	must(cmd.MarkFlagRequired("site"))
	return cmd
}

func newPurgeRegex() *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "regex {--site SITE | --domain DOMAIN} REGEX...",
		Short: "Purge what a regular expression matches",
		Long: `Purge everything of a site, or of one of its domains, whose path and query a regular
expression matches. It is searched in texts such as /img/a.png?v=1, in the normal form
of URLs: ^ and $ say where it must be. The syntax is RE2's, as of Go's package regexp; an
expression has at most 512 octets.

Where a route leaves parameters out of the cache key, the expression sees those of the
request that brought the content. A directory or a tag is surer there, and cheaper.`,
		Example: `  nearcast purge regex --site shop '\.(png|webp)$'
  nearcast purge regex --domain www.shop.example --soft '^/news/[0-9]+\?'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, wire.PurgeRequest{Regexps: args})
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.site, "site", "", "`SITE` whose content it is, by name or by one of its domains")
	cmd.Flags().StringVar(&f.domain, "domain", "", "`DOMAIN` of the site, if not all of them are meant")
	cmd.MarkFlagsOneRequired("site", "domain")
	return cmd
}

func newPurgeSite() *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "site SITE",
		Short: "Purge everything of a site",
		Long: `Purge everything that is stored of a site, which is named by its name or by one of its
domains. Its origin will be asked for all of it again: with --soft it is asked what has
changed.`,
		Example: `  nearcast purge site shop
  nearcast purge site --soft www.shop.example`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.site = args[0]
			return f.run(cmd, wire.PurgeRequest{WholeSite: true})
		},
	}
	f.register(cmd)
	return cmd
}
