// Package openai asks models of OpenAI, and of any server that speaks its chat completions interface: Ollama, vLLM,
// llama.cpp, LM Studio, LiteLLM and many more.
//
// A request becomes one streaming chat completion with the official client, whose own retries and environment variables
// are switched off. The text of the first choice is handed on as it arrives. An answer is complete when the provider gave
// a reason for its end; usage is asked for and taken when it comes.
//
// File map: openai.go configuration and the stream; errors.go from the client's errors to [provider.Error].
package openai
