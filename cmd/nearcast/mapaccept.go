package main

import (
	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/wire"
)

func newMapAccept() *cobra.Command {
	var f operatorFlags
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Tell schedulers that what they do not believe is true",
		Long: `Tell every scheduler that somebody has looked, and that what it does not believe is true: the loss that the map is frozen
for, or the route table that is refused since too much is missing from it. It counts from the next step
of the map on, within five seconds, and once.`,
		Example: "  nearcast map accept",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			answers, err := api.AcceptMap(cmd.Context())
			if err != nil {
				return err
			}
			if err := f.print(cmd.OutOrStdout(), answers, func() [][]string { return acceptanceRows(answers) }); err != nil {
				return err
			}
			return accepted(answers)
		},
	}
	f.register(cmd)
	return cmd
}

func acceptanceRows(answers []wire.SchedulerAcceptance) [][]string {
	rows := [][]string{{"SCHEDULER", "ACCEPTS"}}
	for i := range answers {
		name, what := string(answers[i].Scheduler), answers[i].Accepted
		if name == "" {
			name = answers[i].URL
		}
		switch {
		case answers[i].Error != "":
			what = "no answer: " + answers[i].Error
		case answers[i].Believes:
			what = "nothing: its map is not frozen, and no table is doubted"
		}
		rows = append(rows, []string{name, what})
	}
	return rows
}

// accepted fails if there was something to accept, perhaps, and nobody did: those who did not answer go on from the map of one that did.
func accepted(answers []wire.SchedulerAcceptance) error {
	silent := false
	for i := range answers {
		if answers[i].Accepted != "" {
			return nil
		}
		silent = silent || answers[i].Error != ""
	}
	if silent {
		return cdn.Errorf(cdn.Unavailable, "", "no scheduler that answers has a frozen map, and not all of them answer")
	}
	return nil
}
