package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/wire"
	"nearcast/internal/httpjson"
)

func (s *server) purge(r *http.Request) (result wire.PurgeResult, err error) {
	var req wire.PurgeRequest
	if err := httpjson.Read(r, &req); err != nil {
		return result, err
	}
	snap, err := s.current(r.Context())
	if err != nil {
		return result, err
	}
	p, err := newPurge(snap, &req)
	if err != nil {
		return result, err
	}
	p.ID, p.At, p.By = rand.Text(), s.Now().UTC(), actor(r)
	if result.Revision, err = s.Store.AppendPurge(r.Context(), p); err != nil {
		return result, err
	}
	result.ID = p.ID
	s.Log.InfoContext(r.Context(), "audit", "what", r.Method+" "+r.URL.Path, "by", p.By, "id", p.ID, "revision", result.Revision,
		"urls", len(req.URLs), "scopes", len(p.Scopes), "soft", p.Soft)
	if req.Wait {
		ctx, cancel := context.WithTimeout(r.Context(), purgeWait)
		defer cancel()
		result.Applied, result.Missing = s.Feed.Applied(ctx, result.Revision, cacheNodes(&snap.Fleet))
	}
	return result, nil
}

// newPurge makes the entry of the log that a request asks for, or says everything that is wrong with the request.
func newPurge(snap *cdn.Snapshot, req *wire.PurgeRequest) (cdn.Purge, error) {
	scopes := len(req.Directories) + len(req.Tags) + len(req.Regexps)
	if req.WholeSite {
		scopes++
	}
	switch urls := len(req.URLs); {
	case urls+scopes == 0:
		return cdn.Purge{}, cdn.Errorf(cdn.Invalid, "", "the purge covers nothing: give URLs, directories, tags, regular expressions or a site")
	case urls > cdn.MaxPurgeURLs:
		return cdn.Purge{}, cdn.Errorf(cdn.Invalid, "", "a purge has at most %d URLs, not %d; send several, or purge a directory or a tag", cdn.MaxPurgeURLs, urls)
	case scopes > cdn.MaxPurgeScopes:
		return cdn.Purge{}, cdn.Errorf(cdn.Invalid, "", "a purge has at most %d directories, tags and regular expressions together, not %d; send several", cdn.MaxPurgeScopes, scopes)
	}
	b := purgeBuilder{owners: make(map[cdn.Domain]cdn.SiteName), sites: make(map[cdn.SiteName]bool)}
	for i := range snap.Sites {
		site := &snap.Sites[i]
		b.sites[site.Name] = true
		for _, d := range site.Domains {
			b.owners[d] = site.Name
		}
	}
	b.purge.Soft = req.Soft
	b.urls(req.URLs)
	b.directories(req.Directories)
	b.within(req)
	return b.purge, b.mistakes.Err()
}

// purgeBuilder collects what a purge covers, and the mistakes.
type purgeBuilder struct {
	owners   map[cdn.Domain]cdn.SiteName
	sites    map[cdn.SiteName]bool
	purge    cdn.Purge
	mistakes compile.Mistakes
}

func (b *purgeBuilder) wrong(field string, err error) {
	b.mistakes = append(b.mistakes, compile.Mistake{Field: field, Message: err.Error()})
}

func (b *purgeBuilder) owner(d cdn.Domain) (cdn.SiteName, error) {
	site, ok := b.owners[d]
	if !ok {
		return "", fmt.Errorf("no site has the domain %s", d)
	}
	return site, nil
}

// urls adds URLs. A page is the same page by http and by https, so each is two targets.
func (b *purgeBuilder) urls(raws []string) {
	seen := make(map[cdn.Target]bool)
	for i, raw := range raws {
		t, err := cdn.ParseTarget(raw)
		if err == nil {
			_, err = b.owner(t.Domain)
		}
		if err != nil {
			b.wrong(fmt.Sprintf("urls[%d]", i), err)
			continue
		}
		for _, scheme := range []string{"http", "https"} {
			if t.Scheme = scheme; !seen[t] {
				seen[t] = true
				b.purge.Targets = append(b.purge.Targets, t)
			}
		}
	}
}

func (b *purgeBuilder) directories(raws []string) {
	for i, raw := range raws {
		domain, path, err := cdn.ParseDirectory(raw)
		var site cdn.SiteName
		if err == nil {
			site, err = b.owner(domain)
		}
		if err != nil {
			b.wrong(fmt.Sprintf("directories[%d]", i), err)
			continue
		}
		b.add(cdn.Scope{Kind: cdn.ScopeDir, Site: site, Domain: domain, Path: path})
	}
}

// add adds a scope that is not there yet.
func (b *purgeBuilder) add(scope cdn.Scope) {
	if !slices.Contains(b.purge.Scopes, scope) {
		b.purge.Scopes = append(b.purge.Scopes, scope)
	}
}

// within adds what is about one site or domain.
func (b *purgeBuilder) within(req *wire.PurgeRequest) {
	if len(req.Tags)+len(req.Regexps) == 0 && !req.WholeSite {
		return
	}
	site, domain := b.place(req)
	for i, raw := range req.Tags {
		tag, err := cdn.ParseTag(raw)
		if err != nil {
			b.wrong(fmt.Sprintf("tags[%d]", i), err)
			continue
		}
		b.add(cdn.Scope{Kind: cdn.ScopeTag, Site: site, Tag: tag})
	}
	for i, raw := range req.Regexps {
		expr, err := cdn.ParsePurgeRegexp(raw)
		if err != nil {
			b.wrong(fmt.Sprintf("regexps[%d]", i), err)
			continue
		}
		b.add(cdn.Scope{Kind: cdn.ScopeRegexp, Site: site, Domain: domain, Regexp: expr})
	}
	if req.WholeSite {
		b.add(cdn.Scope{Kind: cdn.ScopeSite, Site: site})
	}
}

// place finds the site and the domain that a request names.
func (b *purgeBuilder) place(req *wire.PurgeRequest) (site cdn.SiteName, domain cdn.Domain) {
	var err error
	if req.Domain != "" {
		if domain, err = cdn.ParseDomain(req.Domain); err == nil {
			site, err = b.owner(domain)
		}
		if err != nil {
			b.wrong("domain", err)
			return "", ""
		}
		if len(req.Tags) > 0 || req.WholeSite {
			b.wrong("domain", fmt.Errorf("only regular expressions are restricted to a domain; name the site, %s, for the rest", site))
		}
	}
	if req.Site == "" {
		if domain == "" {
			b.wrong("site", fmt.Errorf("name the site, or one of its domains"))
		}
		return site, domain
	}
	named, err := b.siteNamed(req.Site)
	switch {
	case err != nil:
		b.wrong("site", err)
	case domain != "" && named != site:
		b.wrong("domain", fmt.Errorf("%s is of site %s, not of %s", domain, site, named))
	}
	return named, domain
}

// siteNamed finds a site by its name or by a domain. Names have no dots, domains may have none either: the name counts first.
func (b *purgeBuilder) siteNamed(text string) (cdn.SiteName, error) {
	if name, err := cdn.ParseSiteName(text); err == nil && b.sites[name] {
		return name, nil
	}
	domain, err := cdn.ParseDomain(text)
	if err != nil {
		return "", err
	}
	site, ok := b.owners[domain]
	if !ok {
		return "", fmt.Errorf("no site is called %s, and none has that domain; nearcast get lists them", domain)
	}
	return site, nil
}
