package edge

import (
	"encoding/json"
	"net/http"
)

// WriteJSON answers with a status and a JSON document.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)

	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // It fails only when whoever asked has left.
}

// WriteError answers with a status and {"error": message}.
func WriteError(w http.ResponseWriter, status int, message string) {
	WriteJSON(w, status, struct {
		Error string `json:"error"`
	}{message})
}
