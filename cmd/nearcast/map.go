package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/apiclient"
	"nearcast/control/wire"
)

func newMap() *cobra.Command {
	var f operatorFlags
	var watched bool
	cmd := &cobra.Command{
		Use:   "map",
		Short: "Show the map: which POP gets what part of the visitors",
		Long: `Show the map that schedulers answer from: the POPs, how they are, what part of all visitors each gets, how busy that
makes them by plan and by measurement; how old all that is, and whether all schedulers have the same map.

With --watch it is shown again every second until interrupted; where standard output is not a terminal, whenever
something but the figures changes: the map, a state, a drain, an alarm.`,
		Example: "  nearcast map\n  nearcast map --watch",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			if watched {
				return redraw(cmd.Context(), cmd.OutOrStdout(), time.Second, func(ctx context.Context) (block, key string) {
					return f.mapBlock(ctx, api)
				})
			}
			maps, err := api.Maps(cmd.Context())
			if err != nil {
				return err
			}
			return f.printMap(cmd.OutOrStdout(), maps)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&watched, "watch", false, "go on showing it until interrupted")
	cmd.AddCommand(newMapAccept())
	return cmd
}

// mapBlock is what a look at the map shows, and a key that stays the same as long as nothing but figures changes.
func (f *operatorFlags) mapBlock(ctx context.Context, api *apiclient.Client) (block, key string) {
	maps, err := api.Maps(ctx)
	if err != nil {
		return "nearcast: " + err.Error() + "\n", err.Error()
	}
	var out bytes.Buffer
	if err := f.printMap(&out, maps); err != nil {
		return "nearcast: " + err.Error() + "\n", err.Error()
	}
	return out.String(), mapKey(maps)
}

// mapKey has what of maps is no figure.
func mapKey(maps []wire.SchedulerMap) string {
	var key strings.Builder
	for _, m := range maps {
		fmt.Fprintf(&key, "%s %s\n", m.URL, m.Error)
		if m.Map == nil {
			continue
		}
		fmt.Fprintf(&key, "%s %s %q %q\n", m.Map.Map.Digest, m.Map.Ageing, m.Map.Frozen, m.Map.Alarms)
		for _, p := range m.Map.POPs {
			fmt.Fprintln(&key, p.POP, p.State, p.Draining, p.Usable, p.Nodes)
		}
	}
	return key.String()
}

func (f *operatorFlags) printMap(out io.Writer, maps []wire.SchedulerMap) error {
	if f.output != "table" {
		return f.print(out, maps, nil)
	}
	return printMaps(out, maps, time.Now())
}

// printMaps shows the map of the first scheduler that answers, and whether the others have the same.
func printMaps(out io.Writer, maps []wire.SchedulerMap, now time.Time) error {
	rows := [][]string{{"schedulers", agreement(maps)}}
	var shown *cdn.MapStatus
	for _, m := range maps {
		switch {
		case m.Map == nil:
			rows = append(rows, []string{"no answer", m.Error})
		case shown == nil:
			shown = m.Map
		}
	}
	if shown == nil {
		return printTable(out, rows)
	}
	rows = append(rows,
		[]string{"map", mapVersion(&shown.Map, now) + by(shown.Scheduler)},
		[]string{"table", tableAge(shown.TableAge) + "; what was measured is " + orDash(shown.Ageing)},
		[]string{"demand", fmt.Sprintf("%s of %s, %s; the last step moved %s", bitRate(shown.Demand), bitRate(shown.Capacity),
			count(shown.Groups, "group", "groups"), percent(shown.Moved))},
	)
	if shown.Frozen != "" {
		rows = append(rows, []string{"frozen", shown.Frozen + " (if that is true: nearcast map accept)"})
	}
	for _, a := range shown.Alarms {
		rows = append(rows, []string{"alarm", a})
	}
	if err := printTable(out, rows); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return printTable(out, mapRows(shown.POPs))
}

func mapRows(pops []cdn.MapPOP) [][]string {
	rows := [][]string{{"POP", "STATE", "NODES", "SHARE", "PLANNED", "LOAD", "FACTOR", "CAPACITY", "SENDS", "HITS"}}
	for _, p := range pops {
		capacity := "-"
		if p.Capacity > 0 {
			capacity = bitRate(p.Capacity)
		}
		rows = append(rows, []string{
			string(p.POP), drainWords(p.State, p.Draining), fmt.Sprintf("%d/%d", p.Usable, p.Nodes), percent(p.Share), percent(p.Planned),
			percent(p.Load), fmt.Sprintf("%.2f", p.Factor), capacity, bitRate(p.Octets), percent(p.HitRatio),
		})
	}
	return rows
}

// agreement says whether all schedulers have the same map. Those that are a version apart are on their way; those that have made
// different maps of the same version are not.
func agreement(maps []wire.SchedulerMap) string {
	var texts []string
	byDigest, digestOf := make(map[string][]string), make(map[string]string)
	var digests []string // in order
	answers, torn := 0, false
	for _, m := range maps {
		if m.Map == nil {
			continue
		}
		answers++
		d := m.Map.Map.Digest
		if byDigest[d] == nil {
			digests = append(digests, d)
		}
		name := string(m.Map.Scheduler)
		if name == "" {
			name = m.URL
		}
		byDigest[d] = append(byDigest[d], name)
		version := fmt.Sprint(m.Map.Map.Epoch, " ", m.Map.Map.Version)
		if other, known := digestOf[version]; known && other != d {
			torn = true
		}
		digestOf[version] = d
	}
	switch {
	case answers == 0:
		return fmt.Sprintf("none of %d answers", len(maps))
	case len(digests) == 1 && answers == len(maps):
		return fmt.Sprintf("%d, all with the same map", answers)
	case len(digests) == 1:
		return fmt.Sprintf("%d of %d answer, all with the same map", answers, len(maps))
	}
	for _, d := range digests {
		texts = append(texts, fmt.Sprintf("%s at %s", orDash(shortDigest(d)), strings.Join(byDigest[d], ",")))
	}
	word := "are of different versions just now"
	if torn {
		word = "DISAGREE"
	}
	return fmt.Sprintf("%d of %d answer and %s: %s", answers, len(maps), word, strings.Join(texts, "; "))
}

// redraw draws again and again until ctx ends: on a terminal in place, elsewhere one block after the other, whenever the key changes.
func redraw(ctx context.Context, out io.Writer, interval time.Duration, draw func(context.Context) (block, key string)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	terminal, last, first := isTerminal(out), "", true
	for {
		block, key := draw(ctx)
		text := ""
		switch {
		case ctx.Err() != nil:
			return nil
		case terminal:
			text = onScreen(block, first)
		case first || key != last:
			text = block
			if !first && !json.Valid([]byte(block)) {
				text = "\n" + block
			}
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
		last, first = key, false
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// onScreen writes a block over the one that is there, without a flicker: each line to its end, then what is left of the old one.
func onScreen(block string, first bool) string {
	head := "\x1b[H"
	if first {
		head = "\x1b[2J\x1b[H"
	}
	return head + strings.ReplaceAll(block, "\n", "\x1b[K\n") + "\x1b[J"
}
