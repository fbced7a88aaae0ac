package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"nearcast/loadtest/sim/trial"
	"nearcast/loadtest/sim/votes"
)

const deaths = 100 // of POPs, if --kills is not given

// vote simulates the votes on a POP: as the flags say, or in several cases.
func vote(o options, out io.Writer) error {
	if !o.given["minutes"] {
		o.Minutes = trial.Month / 60
	}
	if !o.given["kills"] {
		o.Kills = deaths
	}
	var results []*votes.Result
	for _, c := range cases(o) {
		r, err := votes.Run(c, o.first, o.seeds, time.Duration(o.Minutes*float64(time.Minute)), o.Kills)
		if err != nil {
			return err //nolint:wrapcheck // it says what
		}
		results = append(results, r)
	}
	if o.output != "json" {
		return votes.Print(out, results) //nolint:wrapcheck // it says what
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	if err := e.Encode(results); err != nil {
		return fmt.Errorf("printing the results: %w", err)
	}
	return nil
}

func cases(o options) (all []votes.Options) {
	if o.given["loss"] || o.given["starve"] {
		return []votes.Options{{Loss: o.Loss, Starving: o.Starving}}
	}
	for _, c := range [...]struct{ loss, starve float64 }{{0.01, 0.2}, {0.05, 0.2}, {0.01, 0.3}, {0.05, 0.3}} {
		all = append(all, votes.Options{Loss: c.loss, Starving: trial.Starving{Share: c.starve, Stretch: o.Starving.Stretch}})
	}
	return all
}
