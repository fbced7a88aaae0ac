package rules

import (
	"net/http"
	"strings"
)

// The classes of devices.
const (
	deviceDesktop = "desktop"
	deviceMobile  = "mobile"
	deviceTablet  = "tablet"
)

// deviceClass tells the class of a device by words in its User-Agent. A tablet says so, or
// is an iPad, a Kindle, or an Android that does not say Mobile; a phone says Mobile in some
// form; all others are desktops, crawlers among them unless they say that they look at
// the mobile site.
func deviceClass(h http.Header) string {
	lines := h["User-Agent"]
	if len(lines) == 0 {
		return deviceDesktop
	}
	agent := lines[0]
	mobile := strings.Contains(agent, "Mobi") // Mobile, Mobi: what MDN recommends to look for
	if strings.Contains(agent, "Android") && !mobile {
		return deviceTablet
	}
	for _, word := range [...]string{"iPad", "Tablet", "tablet", "Kindle", "Silk/", "PlayBook"} {
		if strings.Contains(agent, word) {
			return deviceTablet
		}
	}
	if mobile {
		return deviceMobile
	}
	for _, word := range [...]string{"iPhone", "iPod", "Windows Phone", "BlackBerry", "Opera Mini"} {
		if strings.Contains(agent, word) {
			return deviceMobile
		}
	}
	return deviceDesktop
}
