package httpfront

import (
	"nearcast/cdn"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/view"
)

// serves is Config.Serves by the view's zones.
func serves(v *view.View, host cdn.Domain) bool { return v.Zones.Host(host).Domain != "" }

// locate is Config.Redirect for nodes that are all redirected to.
func locate(v *view.View, r *Request) Outcome {
	o := redirect.Decide(v, nil, &redirect.Request{
		Method: r.Method, Host: string(r.Host), Target: r.Target, Client: r.Client, Secure: r.Secure, Now: r.Now,
	})
	return Outcome{Status: o.Status, Location: o.Location, MaxAge: o.MaxAge, Problem: o.Problem}
}
