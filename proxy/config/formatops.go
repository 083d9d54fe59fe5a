package config

// The command operators that there are.

// FormatOp is one of them.
type FormatOp uint8

// Syntax of an operator: what may follow its name.
type formatSyntax uint8

const (
	alone  formatSyntax = 0
	wants  formatSyntax = 1 << iota // parameters are required
	may                             // parameters are optional
	length                          // a length may be given
)

// The operators. FormatLiteral is plain text.
const (
	FormatLiteral FormatOp = iota
	OpReq
	OpResp
	OpTrailer
	OpReqWithoutQuery
	OpLocalReplyBody
	OpAccessLogType
	OpGRPCStatus
	OpGRPCStatusNumber
	OpRequestHeadersBytes
	OpResponseHeadersBytes
	OpResponseTrailersBytes
	OpTraceID
	OpQueryParam
	OpPath
	OpRequestDuration
	OpRequestTxDuration
	OpResponseDuration
	OpResponseTxDuration
	OpDownstreamHandshakeDuration
	OpRoundtripDuration
	OpDuration
	OpCommonDuration
	OpPoolReadyDuration
	OpBytesReceived
	OpBytesSent
	OpZero // what is always 0 here, and over HTTP/1 and HTTP/2 in Envoy
	OpUpstreamWireReceived
	OpUpstreamWireSent
	OpUpstreamHeaderReceived
	OpUpstreamHeaderSent
	OpDownstreamWireReceived
	OpDownstreamWireSent
	OpDownstreamHeaderReceived
	OpDownstreamHeaderSent
	OpProtocol
	OpUpstreamProtocol
	OpResponseCode
	OpResponseCodeDetails
	OpTerminationDetails
	OpResponseFlags
	OpResponseFlagsLong
	OpCustomFlags
	OpUpstreamHost
	OpUpstreamHostName
	OpUpstreamHostNameNoPort
	OpUpstreamConnectionID
	OpUpstreamCluster
	OpUpstreamClusterRaw
	OpUpstreamLocal
	OpUpstreamLocalNoPort
	OpUpstreamLocalPort
	OpUpstreamRemote
	OpUpstreamRemoteNoPort
	OpUpstreamRemotePort
	OpAttempts
	OpUpstreamFailure
	OpDownstreamLocal
	OpDownstreamLocalNoPort
	OpDownstreamLocalPort
	OpDownstreamRemote
	OpDownstreamRemoteNoPort
	OpDownstreamRemotePort
	OpDownstreamDirectRemote
	OpDownstreamDirectRemoteNoPort
	OpDownstreamDirectRemotePort
	OpDownstreamFailure
	OpConnectionID
	OpServerName
	OpRouteName
	OpVirtualClusterName
	OpFilterChainName
	OpHostname
	OpEnvironment
	OpUniqueID
	OpStreamID
	OpStartTime
	OpStartTimeLocal
	OpEmitTime
	OpEmitTimeLocal
	OpPeerCertStart
	OpPeerCertEnd
	OpUpstreamCertStart
	OpUpstreamCertEnd
	OpMetadata
	OpFilterState
	OpJA3
	OpJA4
	OpUnset // what is never known here
	OpCEL
	OpTypedCEL
	// Certificates and sessions of both sides.
	OpPeerSubject
	OpPeerIssuer
	OpPeerSerial
	OpPeerSerials
	OpPeerFingerprint256
	OpPeerFingerprint1
	OpPeerFingerprints256
	OpPeerFingerprints1
	OpPeerCert
	OpPeerURISAN
	OpPeerDNSSAN
	OpPeerIPSAN
	OpPeerEmailSAN
	OpLocalSubject
	OpLocalURISAN
	OpLocalDNSSAN
	OpLocalIPSAN
	OpLocalEmailSAN
	OpTLSVersion
	OpTLSCipher
	OpUpstreamPeerSubject
	OpUpstreamPeerIssuer
	OpUpstreamPeerCert
	OpUpstreamPeerURISAN
	OpUpstreamPeerDNSSAN
	OpUpstreamPeerIPSAN
	OpUpstreamLocalURISAN
	OpUpstreamLocalDNSSAN
	OpUpstreamLocalIPSAN
	OpUpstreamTLSVersion
	OpUpstreamTLSCipher
)

// formatCommand is a row of the table.
type formatCommand struct {
	op     FormatOp
	syntax formatSyntax
}

// formatCommands are the operators by name (source/common/formatter/
// stream_info_formatter.cc, http_specific_formatter.cc and the built-in
// extensions of source/extensions/formatter).
func formatCommands() map[string]formatCommand {
	return map[string]formatCommand{
		"REQ":                     {OpReq, wants | length},
		"STREAM_INFO_REQ":         {OpReq, wants | length},
		"RESP":                    {OpResp, wants | length},
		"TRAILER":                 {OpTrailer, wants | length},
		"REQ_WITHOUT_QUERY":       {OpReqWithoutQuery, wants | length},
		"LOCAL_REPLY_BODY":        {OpLocalReplyBody, alone},
		"ACCESS_LOG_TYPE":         {OpAccessLogType, alone},
		"GRPC_STATUS":             {OpGRPCStatus, may},
		"GRPC_STATUS_NUMBER":      {OpGRPCStatusNumber, alone},
		"REQUEST_HEADERS_BYTES":   {OpRequestHeadersBytes, alone},
		"RESPONSE_HEADERS_BYTES":  {OpResponseHeadersBytes, alone},
		"RESPONSE_TRAILERS_BYTES": {OpResponseTrailersBytes, alone},
		"TRACE_ID":                {OpTraceID, alone},
		"QUERY_PARAM":             {OpQueryParam, wants | length},
		"PATH":                    {OpPath, may | length},

		"REQUEST_DURATION":                        {OpRequestDuration, alone},
		"REQUEST_TX_DURATION":                     {OpRequestTxDuration, alone},
		"RESPONSE_DURATION":                       {OpResponseDuration, alone},
		"RESPONSE_TX_DURATION":                    {OpResponseTxDuration, alone},
		"DOWNSTREAM_HANDSHAKE_DURATION":           {OpDownstreamHandshakeDuration, alone},
		"ROUNDTRIP_DURATION":                      {OpRoundtripDuration, alone},
		"DURATION":                                {OpDuration, alone},
		"COMMON_DURATION":                         {OpCommonDuration, wants},
		"UPSTREAM_CONNECTION_POOL_READY_DURATION": {OpPoolReadyDuration, alone},

		"BYTES_RECEIVED":                   {OpBytesReceived, alone},
		"BYTES_SENT":                       {OpBytesSent, alone},
		"BYTES_RETRANSMITTED":              {OpZero, alone},
		"PACKETS_RETRANSMITTED":            {OpZero, alone},
		"UPSTREAM_WIRE_BYTES_RECEIVED":     {OpUpstreamWireReceived, alone},
		"UPSTREAM_WIRE_BYTES_SENT":         {OpUpstreamWireSent, alone},
		"UPSTREAM_HEADER_BYTES_RECEIVED":   {OpUpstreamHeaderReceived, alone},
		"UPSTREAM_HEADER_BYTES_SENT":       {OpUpstreamHeaderSent, alone},
		"DOWNSTREAM_WIRE_BYTES_RECEIVED":   {OpDownstreamWireReceived, alone},
		"DOWNSTREAM_WIRE_BYTES_SENT":       {OpDownstreamWireSent, alone},
		"DOWNSTREAM_HEADER_BYTES_RECEIVED": {OpDownstreamHeaderReceived, alone},
		"DOWNSTREAM_HEADER_BYTES_SENT":     {OpDownstreamHeaderSent, alone},
		// Heads are counted before they are compressed.
		"UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED":   {OpUpstreamHeaderReceived, alone},
		"UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT":       {OpUpstreamHeaderSent, alone},
		"DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED": {OpDownstreamHeaderReceived, alone},
		"DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT":     {OpDownstreamHeaderSent, alone},

		"PROTOCOL":                       {OpProtocol, alone},
		"UPSTREAM_PROTOCOL":              {OpUpstreamProtocol, alone},
		"RESPONSE_CODE":                  {OpResponseCode, alone},
		"RESPONSE_CODE_DETAILS":          {OpResponseCodeDetails, may},
		"CONNECTION_TERMINATION_DETAILS": {OpTerminationDetails, alone},
		"RESPONSE_FLAGS":                 {OpResponseFlags, alone},
		"RESPONSE_FLAGS_LONG":            {OpResponseFlagsLong, alone},
		"CUSTOM_FLAGS":                   {OpCustomFlags, alone},

		"UPSTREAM_HOST":                        {OpUpstreamHost, alone},
		"UPSTREAM_HOST_NAME":                   {OpUpstreamHostName, alone},
		"UPSTREAM_HOST_NAME_WITHOUT_PORT":      {OpUpstreamHostNameNoPort, alone},
		"UPSTREAM_CONNECTION_ID":               {OpUpstreamConnectionID, alone},
		"UPSTREAM_CLUSTER":                     {OpUpstreamCluster, alone},
		"UPSTREAM_CLUSTER_RAW":                 {OpUpstreamClusterRaw, alone},
		"UPSTREAM_LOCAL_ADDRESS":               {OpUpstreamLocal, alone},
		"UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":  {OpUpstreamLocalNoPort, alone},
		"UPSTREAM_LOCAL_PORT":                  {OpUpstreamLocalPort, alone},
		"UPSTREAM_REMOTE_ADDRESS":              {OpUpstreamRemote, alone},
		"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": {OpUpstreamRemoteNoPort, alone},
		"UPSTREAM_REMOTE_PORT":                 {OpUpstreamRemotePort, alone},
		"UPSTREAM_REQUEST_ATTEMPT_COUNT":       {OpAttempts, alone},
		"UPSTREAM_TRANSPORT_FAILURE_REASON":    {OpUpstreamFailure, alone},

		"DOWNSTREAM_LOCAL_ADDRESS":                      {OpDownstreamLocal, alone},
		"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":         {OpDownstreamLocalNoPort, alone},
		"DOWNSTREAM_LOCAL_PORT":                         {OpDownstreamLocalPort, alone},
		"DOWNSTREAM_DIRECT_LOCAL_ADDRESS":               {OpDownstreamLocal, alone},
		"DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT":  {OpDownstreamLocalNoPort, alone},
		"DOWNSTREAM_DIRECT_LOCAL_PORT":                  {OpDownstreamLocalPort, alone},
		"DOWNSTREAM_REMOTE_ADDRESS":                     {OpDownstreamRemote, alone},
		"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":        {OpDownstreamRemoteNoPort, alone},
		"DOWNSTREAM_REMOTE_PORT":                        {OpDownstreamRemotePort, alone},
		"DOWNSTREAM_DIRECT_REMOTE_ADDRESS":              {OpDownstreamDirectRemote, alone},
		"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": {OpDownstreamDirectRemoteNoPort, alone},
		"DOWNSTREAM_DIRECT_REMOTE_PORT":                 {OpDownstreamDirectRemotePort, alone},
		"DOWNSTREAM_TRANSPORT_FAILURE_REASON":           {OpDownstreamFailure, alone},
		"CONNECTION_ID":                                 {OpConnectionID, alone},
		"REQUESTED_SERVER_NAME":                         {OpServerName, alone},
		"FILTER_CHAIN_NAME":                             {OpFilterChainName, alone},
		"TLS_JA3_FINGERPRINT":                           {OpJA3, alone},
		"TLS_JA4_FINGERPRINT":                           {OpJA4, alone},

		"ROUTE_NAME":           {OpRouteName, alone},
		"VIRTUAL_CLUSTER_NAME": {OpVirtualClusterName, alone},
		"HOSTNAME":             {OpHostname, alone},
		"ENVIRONMENT":          {OpEnvironment, wants | length},
		"UNIQUE_ID":            {OpUniqueID, alone},
		"STREAM_ID":            {OpStreamID, alone},
		"START_TIME":           {OpStartTime, may},
		"START_TIME_LOCAL":     {OpStartTimeLocal, may},
		"EMIT_TIME":            {OpEmitTime, may},
		"EMIT_TIME_LOCAL":      {OpEmitTimeLocal, may},

		"DYNAMIC_METADATA":      {OpMetadata, wants | length},
		"CLUSTER_METADATA":      {OpMetadata, wants | length},
		"UPSTREAM_METADATA":     {OpMetadata, wants | length},
		"METADATA":              {OpMetadata, wants | length},
		"FILTER_STATE":          {OpFilterState, wants | length},
		"UPSTREAM_FILTER_STATE": {OpUnset, may | length},
		"CEL":                   {OpCEL, wants | length},
		"TYPED_CEL":             {OpTypedCEL, wants | length},

		"DOWNSTREAM_PEER_CERT_V_START":           {OpPeerCertStart, may},
		"DOWNSTREAM_PEER_CERT_V_END":             {OpPeerCertEnd, may},
		"DOWNSTREAM_PEER_SUBJECT":                {OpPeerSubject, alone},
		"DOWNSTREAM_PEER_ISSUER":                 {OpPeerIssuer, alone},
		"DOWNSTREAM_PEER_SERIAL":                 {OpPeerSerial, alone},
		"DOWNSTREAM_PEER_CHAIN_SERIALS":          {OpPeerSerials, alone},
		"DOWNSTREAM_PEER_FINGERPRINT_256":        {OpPeerFingerprint256, alone},
		"DOWNSTREAM_PEER_FINGERPRINT_1":          {OpPeerFingerprint1, alone},
		"DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256": {OpPeerFingerprints256, alone},
		"DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1":   {OpPeerFingerprints1, alone},
		"DOWNSTREAM_PEER_CERT":                   {OpPeerCert, alone},
		"DOWNSTREAM_PEER_URI_SAN":                {OpPeerURISAN, alone},
		"DOWNSTREAM_PEER_DNS_SAN":                {OpPeerDNSSAN, alone},
		"DOWNSTREAM_PEER_IP_SAN":                 {OpPeerIPSAN, alone},
		"DOWNSTREAM_PEER_EMAIL_SAN":              {OpPeerEmailSAN, alone},
		"DOWNSTREAM_PEER_OTHERNAME_SAN":          {OpUnset, alone},
		"DOWNSTREAM_LOCAL_SUBJECT":               {OpLocalSubject, alone},
		"DOWNSTREAM_LOCAL_URI_SAN":               {OpLocalURISAN, alone},
		"DOWNSTREAM_LOCAL_DNS_SAN":               {OpLocalDNSSAN, alone},
		"DOWNSTREAM_LOCAL_IP_SAN":                {OpLocalIPSAN, alone},
		"DOWNSTREAM_LOCAL_EMAIL_SAN":             {OpLocalEmailSAN, alone},
		"DOWNSTREAM_LOCAL_OTHERNAME_SAN":         {OpUnset, alone},
		"DOWNSTREAM_TLS_SESSION_ID":              {OpUnset, alone},
		"DOWNSTREAM_TLS_VERSION":                 {OpTLSVersion, alone},
		"DOWNSTREAM_TLS_CIPHER":                  {OpTLSCipher, alone},
		"UPSTREAM_PEER_CERT_V_START":             {OpUpstreamCertStart, may},
		"UPSTREAM_PEER_CERT_V_END":               {OpUpstreamCertEnd, may},
		"UPSTREAM_PEER_SUBJECT":                  {OpUpstreamPeerSubject, alone},
		"UPSTREAM_PEER_ISSUER":                   {OpUpstreamPeerIssuer, alone},
		"UPSTREAM_PEER_CERT":                     {OpUpstreamPeerCert, alone},
		"UPSTREAM_PEER_URI_SAN":                  {OpUpstreamPeerURISAN, alone},
		"UPSTREAM_PEER_DNS_SAN":                  {OpUpstreamPeerDNSSAN, alone},
		"UPSTREAM_PEER_IP_SAN":                   {OpUpstreamPeerIPSAN, alone},
		"UPSTREAM_LOCAL_URI_SAN":                 {OpUpstreamLocalURISAN, alone},
		"UPSTREAM_LOCAL_DNS_SAN":                 {OpUpstreamLocalDNSSAN, alone},
		"UPSTREAM_LOCAL_IP_SAN":                  {OpUpstreamLocalIPSAN, alone},
		"UPSTREAM_TLS_SESSION_ID":                {OpUnset, alone},
		"UPSTREAM_TLS_VERSION":                   {OpUpstreamTLSVersion, alone},
		"UPSTREAM_TLS_CIPHER":                    {OpUpstreamTLSCipher, alone},
	}
}
