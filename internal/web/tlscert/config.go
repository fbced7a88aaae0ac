package tlscert

import (
	"crypto/tls"
)

// ConfigOptions say how a listener speaks TLS.
type ConfigOptions struct {
	// Protocols are those that the listener speaks, by their ALPN names, the one to
	// prefer first: "h2", "http/1.1". A client that offers others only is
	// refused with no_application_protocol (RFC 7301 section 3.2), one that offers none is served.
	// crypto/tls lets in a client that offers nothing but http/1.1 if there is only h2,
	// with no protocol chosen.
	Protocols []string
	// Strict refuses a client that asks for no name, or for one that no certificate is
	// for, with unrecognized_name (RFC 6066 section 3), rather than give it
	// the first certificate. Not to refuse lets old clients and health checks in, and tells in a
	// browser's words what is wrong.
	Strict bool
	// Policy returns what else a ticket for a name is bound to: whatever of a site's
	// configuration must not be got around by a session from before or from elsewhere. It is called in each
	// handshake with a name in lower case, or "". Nil binds tickets to nothing else.
	Policy func(serverName string) string
	// WholeRecords sends records of 16 KiB from the start. Otherwise the first 128 KiB or so
	// of a connection are in smaller ones, which a browser can decrypt as they arrive.
	WholeRecords bool
}

// config is the options of a listener and where its certificates come from.
type config struct {
	ConfigOptions

	keeper *Keeper
}

// Config returns the configuration of a listener. Certificates and ticket keys that the Keeper gets
// later take effect without another one. All of a Keeper's listeners resume
// each other's sessions, within what tickets are bound to.
//
// It is TLS 1.2 and 1.3, with what crypto/tls prefers: post-quantum key exchange for those who can. Of
// TLS 1.2 there are only suites with forward secrecy and AEAD, which are also those that HTTP/2
// allows (RFC 9113 section 9.2.2). There is no renegotiation, no compression and no early
// data.
func (k *Keeper) Config(o ConfigOptions) *tls.Config {
	c := &config{o, k}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos:                  c.Protocols,
		Time:                        c.keeper.now,
		GetCertificate:              c.certificate,
		WrapSession:                 c.wrap,
		UnwrapSession:               c.unwrap,
		DynamicRecordSizingDisabled: c.WholeRecords,
	}
}

// certificate is [tls.Config.GetCertificate]. Without a certificate or an error, crypto/tls
// sends unrecognized_name.
func (c *config) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.keeper.Set().pick(hello, c.keeper.now(), c.Strict), nil
}
