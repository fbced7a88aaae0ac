package httpdns

import (
	"net/netip"
	"strconv"
	"strings"

	"nearcast/scheduler/querylog"
)

// What is noted of a request, if it is to be logged. Of its signature there is nothing.

// noteQuestion notes what is asked, and for whom, if that makes sense. Whether it will be answered is not known yet.
func (x *request) noteQuestion(all []parameter) {
	if x.entry == nil {
		return
	}
	q, err := ask(all, x.peer)
	if err != nil {
		return
	}
	x.entry.Name, x.entry.More, x.entry.Type = querylog.Clip(q.hosts[0]), len(q.hosts)-1, q.types()
	if ip, ok := valueOf(all, "ip"); ok {
		network, err := netip.ParsePrefix(ip)
		if err != nil {
			network = netip.PrefixFrom(q.client, q.client.BitLen())
		}
		x.entry.Client = network.String()
	}
}

// noteKey notes whose signature was right.
func (x *request) noteKey(all []parameter) {
	if x.entry != nil {
		x.entry.Key, _ = valueOf(all, "id")
	}
}

// noteAnswer notes the answer for the first host.
func (x *request) noteAnswer(h *Host, reason string) {
	if x.entry == nil {
		return
	}
	x.entry.POP, x.entry.Reason = h.POP, reason
	if h.Scope != nil {
		x.entry.Scope = h.Scope.Bits()
	}
}

// log logs the request, when the answer is made.
func (x *request) log(status, octets int) {
	if x.entry == nil {
		return
	}
	x.entry.Code, x.entry.Octets, x.entry.Micros = strconv.Itoa(status), octets, x.cfg.Now().Sub(x.now).Microseconds()
	x.cfg.Log.Add(*x.entry)
}

// valueOf is the value of a parameter that is there once at most.
func valueOf(all []parameter, name string) (string, bool) {
	for _, p := range all {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

// types are what is wanted, as a request says it.
func (q *question) types() string {
	var all []string
	for _, t := range []struct {
		wanted bool
		name   string
	}{{q.v4, "4"}, {q.v6, "6"}, {q.https, "https"}} {
		if t.wanted {
			all = append(all, t.name)
		}
	}
	return strings.Join(all, ",")
}
