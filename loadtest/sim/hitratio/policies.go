package main

import (
	"fmt"
	"strings"

	"nearcast/edge/store/policy"
)

// contender is a policy by the name that --policy knows it by.
type contender struct {
	name string
	ram  func(budget int64) ram // nil: the real store
}

// open makes the store.
func (c contender) open(ram, disk int64, requests []request) (store, error) {
	if c.ram == nil {
		return newReal(ram, disk, scaleOf(requests))
	}
	return newTiers(c.ram(ram), disk), nil
}

// contenders are all policies, the live one first.
func contenders() []contender {
	shadow := func(name string, build func(budget int64) *policy.Shadow) contender {
		return contender{name, func(budget int64) ram { return &rival{cache: build(budget)} }}
	}
	return []contender{
		{"live", nil},
		{"model", func(budget int64) ram { return newLive(budget) }},
		shadow("fifo", policy.NewFIFO),
		shadow("lru", policy.NewLRU),
		shadow("sieve", policy.NewSIEVE),
		shadow("s3fifo", func(b int64) *policy.Shadow { return policy.NewS3FIFO(b, 1) }),
		shadow("s3fifo2", func(b int64) *policy.Shadow { return policy.NewS3FIFO(b, 2) }),
		shadow("wtinylfu", func(b int64) *policy.Shadow { return policy.NewWTinyLFU(b, 10, false) }),
		shadow("wtinylfu-climb", func(b int64) *policy.Shadow { return policy.NewWTinyLFU(b, 10, true) }),
		shadow("threshold", func(b int64) *policy.Shadow { return policy.NewThreshold(b, max(b/200, 1)) }),
	}
}

// choose returns the policies that a list with commas names; "all" are all.
func choose(list string) ([]contender, error) {
	all := contenders()
	if list == "all" {
		return all, nil
	}
	var chosen []contender
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, c := range all {
			if c.name == name {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			names := make([]string, len(all))
			for i, c := range all {
				names[i] = c.name
			}
			return nil, fmt.Errorf("--policy: %q is none of %s and all", name, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}
