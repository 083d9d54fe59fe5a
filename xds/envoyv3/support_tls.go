package envoyv3

// What is honoured of TLS, secrets, and what is beside it between the socket and
// the protocol.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	internallistenerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	proxyfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	internalsocketv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/internal_upstream/v3"
	proxysocketv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	starttlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/starttls/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"
)

func tlsTables() []table {
	return concat(contextTables(), secretTables(), socketTables())
}

const (
	hintProviders = "use SDS or files"
	hintSelectors = "certificates are chosen by SNI"
)

func contextTables() []table {
	return []table{
		{
			of: &tlsv3.DownstreamTlsContext{},
			honoured: "common_tls_context require_client_certificate session_ticket_keys " +
				"session_ticket_keys_sds_secret_config disable_stateless_session_resumption session_timeout " +
				"ocsp_staple_policy full_scan_certs_on_sni_mismatch",
			noEffect: notes{
				"disable_stateful_session_resumption": "sessions are never resumed by an id that the server keeps",
				"prefer_client_ciphers":               "Go chooses: AES first where both sides have it in hardware, else ChaCha20",
			},
			never:  notes{"require_sni": "Envoy does not implement it either; match server_names"},
			strict: true,
		},
		{
			of:       &tlsv3.UpstreamTlsContext{},
			honoured: "common_tls_context sni auto_host_sni auto_sni_san_validation max_session_keys enforce_rsa_key_usage",
			refused: notes{
				"allow_renegotiation": "a handshake amid the stream is not supported: TLS 1.3 has none",
			},
			strict: true,
		},
		{
			of: &tlsv3.CommonTlsContext{},
			honoured: "tls_params tls_certificates tls_certificate_sds_secret_configs validation_context " +
				"validation_context_sds_secret_config combined_validation_context alpn_protocols key_log",
			strict: true,
			never: notes{
				"tls_certificate_provider_instance":                hintProviders,
				"tls_certificate_certificate_provider":             hintProviders,
				"tls_certificate_certificate_provider_instance":    hintProviders,
				"validation_context_certificate_provider":          hintProviders,
				"validation_context_certificate_provider_instance": hintProviders,
				"custom_handshaker":                                "the handshake is that of Go's crypto/tls",
				"custom_tls_certificate_selector":                  hintSelectors,
			},
		},
		{
			of:       &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{},
			honoured: "default_validation_context validation_context_sds_secret_config",
			strict:   true,
			never: notes{
				"validation_context_certificate_provider":          hintProviders,
				"validation_context_certificate_provider_instance": hintProviders,
			},
		},
		{
			of:       &tlsv3.TlsParameters{},
			honoured: "tls_minimum_protocol_version tls_maximum_protocol_version",
			partly: notes{
				"cipher_suites": "names of suites that Go has, [A|B] is both; which one is preferred is Go's choice; TLS 1.3 has all of its own",
				"ecdh_curves":   "X25519, X25519MLKEM768, P-256, P-384 and P-521",
			},
			strict: true,
			never: notes{
				"signature_algorithms": "Go has its own list, without SHA-1 and PKCS #1 in TLS 1.3",
				"compliance_policies":  "give versions, cipher_suites and ecdh_curves",
			},
		},
		{of: &tlsv3.TlsKeyLog{}, honoured: "path local_address_range remote_address_range"},
	}
}

// genericSecret says what becomes of one.
const genericSecret = "checked and kept; no filter here takes one"

func secretTables() []table {
	return []table{
		{of: &tlsv3.Secret{}, honoured: "name tls_certificate session_ticket_keys validation_context", strict: true, noEffect: notes{"generic_secret": genericSecret}},
		{of: &tlsv3.SdsSecretConfig{}, honoured: "name sds_config", strict: true},
		{
			of:       &tlsv3.TlsCertificate{},
			honoured: "certificate_chain private_key password pkcs12 ocsp_staple watched_directory",
			partly:   notes{"private_key_provider": "only with fallback, and private_key is used"},
			noEffect: notes{"signed_certificate_timestamp": "Envoy does not implement it either"},
			strict:   true,
		},
		{
			of:       &tlsv3.PrivateKeyProvider{},
			honoured: "fallback",
			noEffect: notes{"provider_name": "there are no providers", "typed_config": "there are no providers"},
		},
		{of: &tlsv3.TlsSessionTicketKeys{}, honoured: "keys", strict: true},
		{of: &tlsv3.GenericSecret{}, strict: true, noEffect: notes{"secret": genericSecret, "secrets": genericSecret}},
		{
			of: &tlsv3.CertificateValidationContext{},
			honoured: "trusted_ca system_root_certs watched_directory verify_certificate_spki verify_certificate_hash " +
				"match_typed_subject_alt_names match_subject_alt_names crl allow_expired_certificate " +
				"trust_chain_verification only_verify_leaf_cert_crl max_verify_depth",
			partly: notes{"custom_validator_config": "the SPIFFE validator only"},
			strict: true,
			never: notes{
				"ca_certificate_provider_instance":     hintProviders,
				"require_signed_certificate_timestamp": "Envoy does not implement it either",
			},
		},
		{of: &tlsv3.CertificateValidationContext_SystemRootCerts{}},
		{
			of:       &tlsv3.SubjectAltNameMatcher{},
			honoured: "matcher",
			partly:   notes{"san_type": "not OTHER_NAME"},
			noEffect: notes{"oid": "only with OTHER_NAME"},
			strict:   true,
		},
		{of: &tlsv3.SPIFFECertValidatorConfig{}, honoured: "trust_domains trust_bundles", strict: true},
		{of: &tlsv3.SPIFFECertValidatorConfig_TrustDomain{}, honoured: "name trust_bundle", strict: true},
	}
}

// neverBegun says who turns TLS on amid a connection.
const neverBegun = "no filter here turns TLS on (of Envoy's only postgres_proxy, of contrib, does): the connection stays in clear text"

func socketTables() []table {
	return []table{
		{of: &clusterv3.Cluster_TransportSocketMatch{}, honoured: "name match transport_socket", strict: true},
		{
			of: &starttlsv3.StartTlsConfig{}, noEffect: notes{"cleartext_socket_config": "bytes as they are, which have no settings, are all that it can be"},
			partly: notes{"tls_socket_config": neverBegun}, strict: true,
		},
		{
			of: &starttlsv3.UpstreamStartTlsConfig{}, noEffect: notes{"cleartext_socket_config": "bytes as they are, which have no settings, are all that it can be"},
			partly: notes{"tls_socket_config": neverBegun}, strict: true,
		},
		{of: &internalsocketv3.InternalUpstreamTransport{}, honoured: "passthrough_metadata transport_socket"},
		{of: &internalsocketv3.InternalUpstreamTransport_MetadataValueSource{}, honoured: "kind name"},
		{
			of:       &metadatav3.MetadataKind{},
			honoured: "host cluster",
			refused:  notes{"request": "Envoy has it not for connections either", "route": "Envoy has it not for connections either"},
		},
		{of: &metadatav3.MetadataKind_Host{}},
		{of: &metadatav3.MetadataKind_Cluster{}},
		{of: &internallistenerv3.InternalListener{}, noEffect: notes{"buffer_size_kb": "the kernel has buffers of its own"}},
		{
			of:       &proxysocketv3.ProxyProtocolUpstreamTransport{},
			honoured: "config transport_socket",
			refused: notes{
				"allow_unspecified_address": "a connection without a client's address has a LOCAL header",
			},
			noEffect: notes{"tlv_as_pool_key": "a connection with a PROXY header serves one client connection"},
			strict:   true,
		},
		{of: &corev3.ProxyProtocolConfig{}, honoured: "version pass_through_tlvs added_tlvs", strict: true},
		{of: &corev3.ProxyProtocolPassThroughTLVs{}, honoured: "match_type tlv_type", strict: true},
		{
			of:       &corev3.TlvEntry{},
			honoured: "type value",
			strict:   true,
			partly:   notes{"format_string": "of a TCP proxy; a transport socket and an endpoint have value"},
		},
		{of: &corev3.PerHostConfig{}, honoured: "added_tlvs", strict: true},
		{
			of:       &listenerv3.ListenerFilter{},
			honoured: "typed_config",
			partly: notes{
				"name":             "of what comes by config_discovery; else an extension is found by its type",
				"config_discovery": "a change begins the local rate limits of the listener anew",
			},
			strict: true,
			never:  notes{"filter_disabled": "a filter is there or is not"},
		},
		{
			of:       &tlsinspectorv3.TlsInspector{},
			honoured: "close_connection_on_client_hello_parsing_errors enable_ja3_fingerprinting enable_ja4_fingerprinting",
			noEffect: notes{"initial_read_buffer_size": "what has arrived is looked at where it lies"},
			refused:  notes{"max_client_hello_size": "a ClientHello of up to 16 KiB is read, Envoy's default"},
		},
		{of: &httpinspectorv3.HttpInspector{}},
		{
			of:       &proxyfilterv3.ProxyProtocol{},
			honoured: "rules allow_requests_without_proxy_protocol pass_through_tlvs disallowed_versions stat_prefix tlv_location",
		},
		{of: &proxyfilterv3.ProxyProtocol_Rule{}, honoured: "tlv_type on_tlv_present"},
		{of: &proxyfilterv3.ProxyProtocol_KeyValuePair{}, honoured: "metadata_namespace key"},
	}
}
