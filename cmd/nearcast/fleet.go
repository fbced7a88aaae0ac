package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newFleet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "Say that a fleet file that was refused is meant",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFleetAccept())
	return cmd
}

func newFleetAccept() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Put the fleet file into force that the control plane refused at its start",
		Long: `Put the fleet file into force that the control plane refused at its start, since it leaves nothing, or less than
half, of what there is: POPs, nodes, zones, records or steered names. What it leaves is shown by nearcast status.`,
		Example: "  nearcast status\n  nearcast fleet accept",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			result, err := api.AcceptFleet(cmd.Context())
			if err != nil {
				return err
			}
			err = f.print(cmd.OutOrStdout(), result, func() [][]string {
				return [][]string{{"FLEET", "GENERATION"}, {"accepted", fmt.Sprint(result.Generation)}}
			})
			if err != nil {
				return err
			}
			return f.await(cmd, api, result.Generation)
		},
	}
	f.registerChange(cmd)
	return cmd
}
