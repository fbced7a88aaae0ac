package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/wire"
)

func newDNSSEC() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dnssec",
		Short: "Show the keys that sign the zones, and roll them over",
		Long: `Show the keys that sign the zones, and roll them over. One key signs everything. It is made when a fleet with
dns.signed comes into force; its DS record is what the parent zones must have.

A roll-over: dnssec roll makes the next key and publishes it; when status says that it is ready, give its DS record
to the parents in place of the old one; when all of their servers have it, dnssec confirm lets it sign. The old key
goes by itself when no resolver can need it any more.`,
	}
	cmd.AddCommand(newDNSSECStatus(), newDNSSECRoll(), newDNSSECConfirm())
	return cmd
}

func newDNSSECStatus() *cobra.Command {
	var f operatorFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the keys, what comes next and when, and the DS records for the parents",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			status, err := api.DNSSEC(cmd.Context())
			if err != nil {
				return err
			}
			return f.printKeys(cmd, status)
		},
	}
	f.register(cmd)
	return cmd
}

func newDNSSECRoll() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "roll",
		Short: "Make the key that is to follow on the one that signs, and publish it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			status, err := api.RollKey(cmd.Context())
			if err != nil {
				return err
			}
			if err := f.printKeys(cmd, status); err != nil {
				return err
			}
			return f.await(cmd, api, status.Generation)
		},
	}
	f.registerChange(cmd)
	return cmd
}

func newDNSSECConfirm() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "confirm [KEY]",
		Short: "Say that the parents have the new key's DS record, so that it signs from now on",
		Long: `Say that every server of the parent zones has the DS record of the key that is ready, in place of the old one's. It
signs from now on, and the old key is retired. Look before, at each server: dig +norecurse @SERVER ZONE DS`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			req := wire.ConfirmRequest{Force: f.force}
			if len(args) > 0 {
				req.Key = args[0]
			}
			status, err := api.ConfirmKey(cmd.Context(), req)
			if err != nil {
				return err
			}
			if err := f.printKeys(cmd, status); err != nil {
				return err
			}
			return f.await(cmd, api, status.Generation)
		},
	}
	f.registerChange(cmd)
	cmd.Flags().BoolVar(&f.force, "force", false, "even if a scheduler is silent")
	return cmd
}

// printKeys prints the keys, and for people what is to be done with the DS records.
func (f *operatorFlags) printKeys(cmd *cobra.Command, s wire.DNSSEC) error {
	err := f.print(cmd.OutOrStdout(), s, func() [][]string {
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
		for _, ds := range s.DS {
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
