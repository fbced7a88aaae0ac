package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/apiclient"
	"nearcast/control/keydir"
	"nearcast/control/parentds"
	"nearcast/control/wire"
)

// keysFlags are the flags of commands about keys.
type keysFlags struct {
	applyFlags
	resolvers  []string
	secretFile string
}

// keyKeeper is who keeps the keys: a control plane, or the folder of a scheduler that stands alone.
type keyKeeper interface {
	DNSSEC(ctx context.Context) (wire.DNSSEC, error)
	RollKey(ctx context.Context) (wire.DNSSEC, error)
	ConfirmKey(ctx context.Context, req wire.ConfirmRequest) (wire.DNSSEC, error)
}

// keeper returns who keeps the keys.
func (f *keysFlags) keeper() (keyKeeper, error) {
	if dir := f.aloneDir(); dir != "" {
		return newAloneKeys(dir, f.secretFile), checkOutput(f.output)
	}
	api, err := f.connect()
	if f.dir != "" && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; nor has it the %s of a scheduler that stands alone", err, keydir.File)
	}
	return api, err
}

// finish prints keys that have changed, and waits until schedulers have them.
func (f *keysFlags) finish(cmd *cobra.Command, from keyKeeper, status wire.DNSSEC) error {
	if err := f.printKeys(cmd, status, nil); err != nil {
		return err
	}
	switch k := from.(type) {
	case *aloneKeys:
		return k.await(cmd, f.wait)
	case *apiclient.Client:
		return f.await(cmd, k, status.Generation)
	}
	return nil
}

func newDNSSEC() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dnssec",
		Short: "Show the keys that sign the zones, and roll them over",
		Long: `Show the keys that sign the zones, and roll them over. One key signs everything. It is made when a fleet with
dns.signed comes into force; its DS record is what the parent zones must have.

A roll-over: dnssec roll makes the next key and publishes it; when status says that it is ready, give its DS record
to the parents in place of the old one; when all of their servers have it, dnssec confirm lets it sign. The old key
goes by itself when no resolver can need it any more.

A scheduler that stands alone has its keys in its folder: give that, --dir DIR.`,
		Example: `  nearcast dnssec status
  nearcast dnssec confirm --resolver 192.0.2.53 --resolver 198.51.100.53
  nearcast dnssec roll --dir /var/lib/nearcast --secret-file /etc/nearcast/secret`,
	}
	cmd.AddCommand(newDNSSECStatus(), newDNSSECRoll(), newDNSSECConfirm())
	for _, c := range cmd.Commands() {
		c.Flags().Lookup("dir").Usage = "the lab in `DIR`, or the scheduler that stands alone with it (environment NEARCAST_DIR)"
	}
	return cmd
}

func newDNSSECStatus() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the keys, what comes next and when, the DS records for the parents, and what these have",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := f.keeper()
			if err != nil {
				return err
			}
			asker, err := f.asker()
			if err != nil {
				return err
			}
			status, err := from.DNSSEC(cmd.Context())
			if err != nil {
				return err
			}
			if err := f.printKeys(cmd, status, asker.ask(cmd.Context(), statusTime, status.DS)); err != nil {
				return err
			}
			if alone, ok := from.(*aloneKeys); ok {
				alone.warn(cmd.ErrOrStderr())
			}
			return nil
		},
	}
	f.register(cmd)
	f.registerResolver(cmd)
	return cmd
}

func newDNSSECRoll() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:   "roll",
		Short: "Make the key that is to follow on the one that signs, and publish it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := f.keeper()
			if err != nil {
				return err
			}
			status, err := from.RollKey(cmd.Context())
			if err != nil {
				return err
			}
			return f.finish(cmd, from, status)
		},
	}
	f.registerChange(cmd)
	cmd.Flags().StringVar(&f.secretFile, "secret-file", "", "`FILE` with the fleet's secret, if a scheduler that stands alone has one")
	return cmd
}

func newDNSSECConfirm() *cobra.Command {
	var f keysFlags
	cmd := &cobra.Command{
		Use:   "confirm [KEY]",
		Short: "Say that the parents have the new key's DS record, so that it signs from now on",
		Long: `Say that every server of the parent zones has the DS record of the key that is ready, in place of the old one's. It
signs from now on, and the old key is retired. What the parents have is looked up first; if one has it not, or does not say,
nothing is changed unless --force is given. The system's resolver is asked, which may have an answer in its cache; to ask servers
of the parent itself, give each as --resolver.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := f.keeper()
			if err != nil {
				return err
			}
			req := wire.ConfirmRequest{Force: f.force}
			if len(args) > 0 {
				req.Key = args[0]
			}
			if err := f.checkParents(cmd, from, &req); err != nil {
				return err
			}
			status, err := from.ConfirmKey(cmd.Context(), req)
			if err != nil {
				return err
			}
			return f.finish(cmd, from, status)
		},
	}
	f.registerChange(cmd)
	cmd.Flags().BoolVar(&f.force, "force", false, "even if a parent has not the DS record or does not say, or a scheduler is silent")
	f.registerResolver(cmd)
	return cmd
}

// shownKeys are the keys as data for programs.
type shownKeys struct {
	wire.DNSSEC
	// Parents are what the parents say, if they were asked.
	Parents []parentds.Answer `json:"parents,omitempty"`
}

// printKeys prints the keys, and for people what is to be done with the DS records. The parents' answers are in the
// order of those; there are none if they were not asked.
func (f *keysFlags) printKeys(cmd *cobra.Command, s wire.DNSSEC, parents []parentds.Answer) error {
	err := f.print(cmd.OutOrStdout(), shownKeys{s, parents}, func() [][]string {
		rows := [][]string{{"KEY", "TAG", "STATE", "SINCE", "NEXT", "WHEN"}}
		for _, k := range s.Keys {
			rows = append(rows, []string{k.ID, fmt.Sprint(k.Tag), string(k.State), moment(k.Since), orDash(k.Next), nextWhen(&k)})
		}
		return rows
	})
	if err != nil || f.output != "table" {
		return err
	}
	switch {
	case !s.Signed && len(s.Keys) == 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "zones are not signed; to sign them, write dns: {signed: true} into the fleet file, and restart control")
	case !s.Signed:
		fmt.Fprintln(cmd.ErrOrStderr(), "zones are not signed: the parents must have no DS record of them")
	case len(s.DS) > 0:
		fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", dsHeading(s))
		for i, ds := range s.DS {
			if i < len(parents) {
				ds += " ; " + parentSays(&parents[i])
			}
			fmt.Fprintln(cmd.OutOrStdout(), ds)
		}
	}
	return nil
}

// dsHeading says what is to be done with the DS records.
func dsHeading(s wire.DNSSEC) string {
	switch {
	case !s.DSFrom.IsZero():
		return "for the parents, from " + moment(s.DSFrom) + " on:"
	case len(s.Keys) > 0 && s.Keys[len(s.Keys)-1].State == cdn.KeyReady:
		return "for the parents now, in place of the old; when all of their servers have it: nearcast dnssec confirm"
	}
	return "at the parents:"
}

// nextWhen says when the next step of a key comes.
func nextWhen(k *wire.ZoneKey) string {
	switch {
	case k.State == cdn.KeyReady:
		return "when confirmed"
	case k.NextAt.IsZero():
		return "-"
	}
	return moment(k.NextAt)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
