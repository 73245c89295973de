"""How events come in: decorators, contexts, the transport hook and the recorder behind them."""
