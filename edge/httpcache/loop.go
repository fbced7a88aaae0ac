package httpcache

import "strings"

// CDNInfo is one member of a CDN-Loop field (RFC 8586 section 2).
type CDNInfo struct {
	// ID is the host, with or without a port, or the pseudonym of a CDN.
	ID string
	// Parameters are what follows the ID, without quotes, in order.
	Parameters []Parameter
}

// Parameter is a name with a value (RFC 9110 section 5.6.6).
type Parameter struct {
	Name  string // in lower case
	Value string // without quotes
}

// Parameter returns the value of the first parameter with a name, or "".
func (c CDNInfo) Parameter(name string) string {
	for _, p := range c.Parameters {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// ParseCDNInfos returns the CDNs that a request has come through, by the
// lines of its CDN-Loop. ok is false if a member is malformed; it is left out, the
// others count all the same: anybody can send the field, and a mistake of one CDN must not
// hide another one.
func ParseCDNInfos(lines []string) (infos []CDNInfo, ok bool) {
	ok = true
	for m := range members(lines) {
		info, valid := parseCDNInfo(m)
		if !valid {
			ok = false
			continue
		}
		infos = append(infos, info)
	}
	return infos, ok
}

func parseCDNInfo(member string) (CDNInfo, bool) {
	id, rest := cutMember(member, ';')
	if !isCDNID(id) {
		return CDNInfo{}, false
	}
	info := CDNInfo{ID: id}
	for rest != "" {
		var text string
		text, rest = cutMember(rest, ';')
		name, value, _ := strings.Cut(text, "=")
		value, quoted := unquote(value)
		if !isToken(name) || !quoted && !isToken(value) {
			return CDNInfo{}, false
		}
		info.Parameters = append(info.Parameters, Parameter{Name: strings.ToLower(name), Value: value})
	}
	return info, true
}

// isCDNID reports whether s can be ( uri-host [ ":" port ] ) / pseudonym. It is no
// validation of hosts: what matters is that no delimiter gets through.
func isCDNID(s string) bool {
	if host, port, ok := strings.Cut(s, ":"); ok && !strings.HasPrefix(s, "[") {
		return isToken(host) && strings.Trim(port, "0123456789") == ""
	}
	if rest, ok := strings.CutPrefix(s, "["); ok {
		address, port, ok := strings.Cut(rest, "]")
		return ok && address != "" && strings.Trim(address, "0123456789abcdefABCDEF:.") == "" &&
			(port == "" || port[0] == ':' && strings.Trim(port[1:], "0123456789") == "")
	}
	return isToken(s)
}
