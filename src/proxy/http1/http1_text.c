/* SPDX-License-Identifier: Apache-2.0 */
/* What the refusals and the status codes are called. */

#include "proxy/http1/http1.h"

const struct http1_reason *
http1_reason(enum http1_error e)
{
	static const struct http1_reason table[HTTP1_N_ERRORS] = {
	    [HTTP1_OK] = {200, "no error"},
	    [HTTP1_BAD_LINE] = {400, "the first line is malformed"},
	    [HTTP1_BAD_TARGET] = {400, "the request target is malformed"},
	    [HTTP1_BAD_VERSION] = {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"},
	    [HTTP1_BAD_FIELD] = {400, "a field line is malformed"},
	    [HTTP1_BARE_LF] = {400, "a line does not end with CR LF"},
	    [HTTP1_OBS_FOLD] = {400, "a field line is folded"},
	    [HTTP1_BAD_LENGTH] = {400, "Content-Length is malformed or repeated"},
	    [HTTP1_LENGTH_AND_CODING] = {400,
		"both Content-Length and Transfer-Encoding are given"},
	    [HTTP1_BAD_CODING] = {400, "Transfer-Encoding is not chunked, once"},
	    [HTTP1_UNKNOWN_CODING] = {501, "Transfer-Encoding is unknown"},
	    [HTTP1_BAD_HOST] = {400,
		"Host is missing, repeated, malformed or not the target's"},
	    [HTTP1_BAD_METHOD] = {501, "CONNECT is not for this server"},
	    [HTTP1_LONG_TARGET] = {414, "the request target is too long"},
	    [HTTP1_LONG_HEAD] = {431, "the head has too many bytes or fields"},
	    [HTTP1_BAD_CHUNK] = {400, "a chunk is malformed"},
	    [HTTP1_LONG_TRAILER] = {431, "the trailer section is too long"},
	};

	return &table[e < HTTP1_N_ERRORS ? e : HTTP1_BAD_LINE];
}

const char *
http1_phrase(unsigned status)
{
	static const struct {
		unsigned status;
		const char *phrase;
	} table[] = {
	    {100, "Continue"},
	    {101, "Switching Protocols"},
	    {200, "OK"},
	    {204, "No Content"},
	    {301, "Moved Permanently"},
	    {302, "Found"},
	    {304, "Not Modified"},
	    {307, "Temporary Redirect"},
	    {308, "Permanent Redirect"},
	    {400, "Bad Request"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {417, "Expectation Failed"},
	    {421, "Misdirected Request"},
	    {426, "Upgrade Required"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].status == status)
			return table[i].phrase;
	return "Unknown";
}
