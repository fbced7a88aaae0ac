package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/parentds"
	"nearcast/control/wire"
)

const (
	// statusTime is how long status waits for what the parents say, and confirmTime how long confirm does.
	statusTime  = 3 * time.Second
	confirmTime = 20 * time.Second
	// systemResolvers is where the system says whom to ask.
	systemResolvers = "/etc/resolv.conf"
)

func (f *keysFlags) registerResolver(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.resolvers, "resolver", nil, "ask the server at `ADDR`, IP:port, for what the parents have, not the system's resolver; may be given several times, and all must say the same (environment NEARCAST_RESOLVER, comma-separated)")
}

// parents is who is asked what the parents have.
type parents struct {
	asker *parentds.Asker
	err   error // why nobody can be asked
}

// asker returns whom to ask. That the system has no resolver is told where answers would be; a flag that is wrong is an error.
func (f *keysFlags) asker() (*parents, error) {
	servers := f.resolvers
	if len(servers) == 0 {
		servers = splitList(os.Getenv("NEARCAST_RESOLVER"))
	}
	if len(servers) > 0 {
		asker, err := parentds.At(servers...)
		return &parents{asker: asker}, err
	}
	asker, err := parentds.System(systemResolvers)
	return &parents{asker, err}, nil
}

// ask asks for DS records, and waits for a time at most.
func (p *parents) ask(ctx context.Context, wait time.Duration, wanted []string) []parentds.Answer {
	if p.err != nil {
		answers := make([]parentds.Answer, len(wanted))
		for i, ds := range wanted {
			zone, _, _ := strings.Cut(ds, " ")
			answers[i] = parentds.Answer{Zone: strings.TrimSuffix(zone, "."), Error: p.err.Error()}
		}
		return answers
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return p.asker.Ask(ctx, wanted)
}

// parentSays is the remark on a DS record.
func parentSays(a *parentds.Answer) string {
	switch {
	case a.Error != "":
		return "the parent cannot be asked: " + a.Error
	case a.Has && len(a.Found) == 1:
		return "the parent has it"
	case a.Has:
		return "the parent has it, and others"
	case len(a.Found) > 0:
		return "the parent has " + tags(a.Found) + " instead"
	}
	return "the parent has none"
}

func tags(all []parentds.DS) string {
	var texts []string
	for _, ds := range all {
		texts = append(texts, fmt.Sprint(ds.Tag))
	}
	return strings.Join(texts, ", ")
}

// checkParents refuses, with an error of kind Conflict, to confirm a key whose DS record a parent has not, or does not
// say that it has; if that is forced, it says so. The request is then for that key and no other. Zones that are within
// others of ours have no part in it: schedulers make their DS records themselves, of the key that is ready, too.
func (f *keysFlags) checkParents(cmd *cobra.Command, from keyKeeper, req *wire.ConfirmRequest) error {
	status, err := from.DNSSEC(cmd.Context())
	if err != nil {
		return err
	}
	key := ""
	for _, k := range status.Keys {
		if k.State == cdn.KeyReady {
			key = k.ID
		}
	}
	if key == "" || req.Key != "" && req.Key != key {
		return nil // it is refused for another reason
	}
	req.Key = key
	asker, err := f.asker()
	if err != nil {
		return err
	}
	var missing []parentds.Answer
	for _, a := range asker.ask(cmd.Context(), confirmTime, status.DS) {
		if a.Error != "" || !a.Has {
			missing = append(missing, a)
		}
	}
	switch {
	case len(missing) == 0:
		return nil
	case f.force:
		fmt.Fprintf(cmd.ErrOrStderr(), "forced, although %s\n", missingText(key, missing))
		return nil
	}
	return cdn.Errorf(cdn.Conflict, "", `%s
Nothing was changed: both keys stay for as long as it takes. Resolvers keep what a parent had before for its TTL, also the one
that was asked: ask again after that, or ask the parent's own servers, each with --resolver ADDR. To confirm nevertheless:
--force. A zone whose parent goes on to have only the old DS cannot be validated any more once the old key is gone.`, missingText(key, missing))
}

// mostMissing is how many zones are told of.
const mostMissing = 20

// missingText says what is missing of the DS records of a key.
func missingText(key string, missing []parentds.Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "not all parents are known to have the DS record of key %s:", key)
	for i, a := range missing {
		if i == mostMissing {
			fmt.Fprintf(&b, "\n  and %d other zones", len(missing)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s: ", a.Zone)
		switch {
		case a.Error != "":
			b.WriteString(a.Error)
		case len(a.Found) == 0:
			fmt.Fprintf(&b, "wanted %s, found none (%s, good for %d s)", a.Wanted, a.From, a.TTL)
		default:
			fmt.Fprintf(&b, "wanted %s, found", a.Wanted)
			for _, ds := range a.Found {
				fmt.Fprintf(&b, " %s", ds)
			}
			fmt.Fprintf(&b, " (%s, good for %d s)", a.From, a.TTL)
		}
	}
	return b.String()
}
