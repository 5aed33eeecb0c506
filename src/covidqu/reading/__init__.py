"""One's own X-rays: pictures in, lungs, infection, shares and warnings out, on ONNX Runtime."""
