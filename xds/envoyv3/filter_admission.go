package envoyv3

// The admission_control filter.

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func admissionTables() []table {
	return []table{
		{
			of:       &admissionv3.AdmissionControl{},
			honoured: "enabled success_criteria sampling_window aggression sr_threshold rps_threshold max_rejection_probability",
		},
		{of: &corev3.RuntimePercent{}, honoured: "default_value runtime_key"},
		{of: &admissionv3.AdmissionControl_SuccessCriteria{}, honoured: "http_criteria grpc_criteria"},
		{of: &admissionv3.AdmissionControl_SuccessCriteria_HttpCriteria{}, honoured: "http_success_status"},
		{of: &admissionv3.AdmissionControl_SuccessCriteria_GrpcCriteria{}, honoured: "grpc_success_status"},
	}
}

// grpcSuccess are the grpc-status values of success where none are named
// (success_criteria_evaluator.cc).
const grpcSuccess = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<5 | 1<<6 | 1<<7 | 1<<9 | 1<<11 | 1<<12 | 1<<16

func (d *decoder) admission(p path, m *admissionv3.AdmissionControl) *config.AdmissionControl {
	c := &config.AdmissionControl{
		Enabled:      m.GetEnabled() == nil || d.runtimeFlag(m.GetEnabled()),
		Window:       d.duration(p.dot("sampling_window"), m.GetSamplingWindow(), 30*time.Second).Truncate(time.Second),
		SuccessRate:  min(d.runtimePercent(m.GetSrThreshold(), 95), 100) / 100,
		MaxRejection: d.runtimePercent(m.GetMaxRejectionProbability(), 80) / 100,
		HTTP:         []config.StatusRange{{From: 0, To: 500}}, GRPC: grpcSuccess,
	}
	if m.GetSrThreshold() != nil && m.GetSrThreshold().GetDefaultValue().GetValue() < 1 {
		d.refuse(p.dot("sr_threshold"), "Success rate threshold cannot be less than 1.0%%.")
	}
	c.Aggression = max(1, d.runtimeDouble(m.GetAggression(), 1))
	if r := m.GetRpsThreshold(); r != nil {
		c.MinRPS = r.GetDefaultValue()
		if n, ok := d.opts.Runtime.integer(r.GetRuntimeKey()); ok {
			c.MinRPS = uint32(min(n, 1<<32-1))
		}
	}
	s := m.GetSuccessCriteria()
	if s == nil {
		d.refuse(p, "Evaluation criteria not set")
	}
	ps := p.dot("success_criteria")
	if h := s.GetHttpCriteria(); h != nil {
		c.HTTP = nil
		for i, r := range h.GetHttpSuccessStatus() {
			if r.GetStart() > r.GetEnd() || r.GetStart() < 100 || r.GetStart() > 599 || r.GetEnd() > 600 {
				d.refuse(ps.dot("http_criteria").dot("http_success_status").at(i), "invalid HTTP range: [%d, %d)", r.GetStart(), r.GetEnd())
			}
			c.HTTP = append(c.HTTP, config.StatusRange{From: int(r.GetStart()), To: int(r.GetEnd())})
		}
	}
	if g := s.GetGrpcCriteria(); g != nil {
		c.GRPC = 0
		for i, code := range g.GetGrpcSuccessStatus() {
			if code > 16 {
				d.refuse(ps.dot("grpc_criteria").dot("grpc_success_status").at(i), "invalid gRPC code %d", code)
			}
			c.GRPC |= 1 << (code & 31)
		}
	}
	return c
}

func (d *decoder) runtimePercent(m *corev3.RuntimePercent, def float64) float64 {
	if m == nil {
		return def
	}
	if n, ok := d.opts.Runtime.number(m.GetRuntimeKey()); ok {
		return n
	}
	return m.GetDefaultValue().GetValue()
}
