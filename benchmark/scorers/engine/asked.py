"""transformers' BLIP, asked questions about images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from transformers import BlipForQuestionAnswering

from benchmark.core.errors import UnreadableFileError
from benchmark.networks.blip import load_reward_tokenizer, reward_tokens
from benchmark.networks.pixels import normalise
from benchmark.networks.precision import place, running
from benchmark.networks.pretrained import load_pretrained
from benchmark.scorers.engine.arrays import RGB
from benchmark.scorers.engine.batches import batch_size, prepared_in_batches
from benchmark.scorers.engine.preprocess import stretched_pixels
from benchmark.scorers.engine.shown import Shown

MAX_TOKENS: Final = 128
YES: Final = "yes"


class Asked:
    """The probability of the answer yes.

    Args:
        folder: With the model and its ``vocab.txt``.
        question: With ``{text}`` where a prompt stands.
        device: Where to compute.
        precision: ``fp32`` or ``bf16``.

    Raises:
        UserError: if the folder is not what it should be, or its vocabulary has no yes.
    """

    def __init__(self, folder: Path, question: str, device: str, precision: str = "fp32") -> None:
        self._model = place(load_pretrained(BlipForQuestionAnswering, folder), device, precision)
        self._tokenizer = load_reward_tokenizer(folder)
        self._yes = self._tokenizer.convert_tokens_to_ids(YES)
        if self._yes == self._tokenizer.unk_token_id:
            raise UnreadableFileError(folder / "vocab.txt", "a vocabulary of answers", f"it has no {YES!r}")
        self._question, self._device, self._precision = question, device, precision
        self._side = int(self._model.config.vision_config.image_size)
        self._length = min(MAX_TOKENS, int(self._model.config.text_config.max_position_embeddings))

    def __call__(self, shown: Shown) -> list[float]:
        """One number an image."""
        images, texts = shown.images, shown.texts

        def prepare(row: int) -> tuple[Tensor, str]:
            return self._prepare(images[row]), self._question.replace("{text}", texts[row])

        size = batch_size(self._device, self._side)
        return [float(p) for p in prepared_in_batches(range(len(texts)), prepare, self._compute, size)]

    def _prepare(self, image: RGB) -> Tensor:
        return normalise(stretched_pixels([image], self._side))[0]

    def _compute(self, prepared: Sequence[tuple[Tensor, str]]) -> Tensor:
        pixels = torch.stack([image for image, _ in prepared]).to(self._device)
        questions = [question for _, question in prepared]
        ids, mask = (t.to(self._device) for t in reward_tokens(self._tokenizer, questions, self._length))
        with running(self._device, self._precision):
            seen = self._model.vision_model(pixel_values=pixels).last_hidden_state
            read = self._model.text_encoder(
                input_ids=ids,
                attention_mask=mask,
                encoder_hidden_states=seen,
                encoder_attention_mask=mask.new_ones(seen.shape[:2]),
            ).last_hidden_state
            # One by one: transformers 5.23's decoder looks at padding whatever its mask says.
            lengths = mask.sum(1).tolist()
            logits = torch.cat([self._answer(read[i : i + 1, :n]) for i, n in enumerate(lengths)])
        chance: Tensor = logits.float().softmax(-1)[:, self._yes]
        return chance

    def _answer(self, read: Tensor) -> Tensor:
        """Logits of an answer's first token, (1, vocabulary)."""
        start = torch.full((1, 1), self._model.decoder_start_token_id, device=self._device)
        logits: Tensor = self._model.text_decoder(input_ids=start, encoder_hidden_states=read).logits
        return logits[:, 0]
