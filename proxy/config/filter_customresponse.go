package config

// CustomResponse is the filter that puts other answers in the place of those that a
// tree names, and what a route says of it
// (Envoy extensions.filters.http.custom_response.v3.CustomResponse).
type CustomResponse struct {
	// Tree leads to an index in Policies; nil: it names none.
	Tree     *Matcher
	Policies []ResponsePolicy
}

// ResponsePolicy is what becomes of an answer: exactly one is given.
type ResponsePolicy struct {
	Local    *LocalResponse
	Redirect *ResponseRedirect
}

// LocalResponse is an answer made here (local_response_policy.v3.LocalResponsePolicy).
type LocalResponse struct {
	Status  int // 0: that of the answer
	Body    string
	Format  *BodyFormat // makes the body, of Body among others; nil: Body as it is
	Headers []HeaderValue
}

// ResponseRedirect asks elsewhere (redirect_policy.v3.RedirectPolicy).
type ResponseRedirect struct {
	// URI is where, in full; "": where Action leads.
	URI    string
	Action Redirect
	Status int // 0: that of the answer that there was
	// Request is added to the request, Response to the answer.
	Request, Response []HeaderValue
}
